"""The distribution's openstack client, many commands in one process: each is what `openstack ARGV` would be.

Reads lines of JSON, {"argv": ["flavor", "list"]}; writes for each {"code": 0, "stdout": "", "stderr": ""}.
"""

import contextlib
import io
import json
import logging
import os
import sys

from openstackclient import shell


def run(argv):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = shell.main(argv)
        except SystemExit as end:  # argparse, for words that it does not know
            code = end.code
    # Each run adds its own, which would write to what is redirected no longer.
    logging.getLogger("").handlers.clear()
    return {"code": code or 0, "stdout": out.getvalue(), "stderr": err.getvalue()}


commands, answers = sys.stdin, sys.stdout
# Of a command that reads what is piped into it, nothing is.
sys.stdin = open(os.devnull)
for line in commands:
    print(json.dumps(run(json.loads(line)["argv"])), file=answers, flush=True)

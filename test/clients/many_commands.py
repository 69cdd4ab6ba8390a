"""The distribution's openstack client, many commands from one process: each is what `openstack ARGV` would be.

Reads lines of JSON, {"argv": ["flavor", "list"]}; writes for each {"code": 0, "stdout": "", "stderr": ""}. Starting the client takes
seconds, so it is loaded once, and each command runs in a fork: none knows of those before it.
"""

import contextlib
import importlib
import importlib.metadata
import io
import json
import os
import sys

from openstackclient import shell

GROUPS = ["openstack.common", "openstack.compute.v2", "openstack.identity.v3", "openstack.image.v2", "openstack.placement.v1"]


def load():
    for group in GROUPS:
        for point in importlib.metadata.entry_points(group=group):
            importlib.import_module(point.module)
    run(["flavor", "list", "--help"])


def run(argv):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = shell.main(argv)
        except SystemExit as end:  # argparse, for words that it does not know
            code = end.code
    return {"code": code or 0, "stdout": out.getvalue(), "stderr": err.getvalue()}


commands, answers = sys.stdin, sys.stdout
# Of a command that reads what is piped into it, nothing is.
sys.stdin = open(os.devnull)
load()
for line in commands:
    child = os.fork()
    if child == 0:
        print(json.dumps(run(json.loads(line)["argv"])), file=answers, flush=True)
        os._exit(0)
    os.waitpid(child, 0)

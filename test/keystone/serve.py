"""Serves the distribution's Keystone on 127.0.0.1, for tests: serve.py PORT. Its configuration is named by OS_KEYSTONE_CONFIG_DIR."""

import socketserver
import sys
import wsgiref.simple_server

port = int(sys.argv.pop())  # Keystone reads what is left of the command line

from keystone.server.wsgi import initialize_public_application  # noqa: E402


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]

    def log_message(self, *_words):
        pass


application = initialize_public_application()
server = wsgiref.simple_server.make_server("127.0.0.1", port, application, Server, Quiet)
print("serving", flush=True)
server.serve_forever()

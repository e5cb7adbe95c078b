"""A certificate authority and two certificates, made anew for each lab."""

import subprocess


class Certificates:
    """Paths of `ca`, `server` and `client` certificates; the server's is for 127.0.0.1 and localhost."""

    def __init__(self, lab):
        self.openssl, self.directory = lab.tools["openssl"], lab.path("certificates")
        self.directory.mkdir()
        self.ca, self.ca_key = self.path("ca.pem"), self.path("ca.key")
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test authority",
                 "-keyout", self.ca_key, "-out", self.ca)
        self.server, self.server_key = self.issue("server", "serverAuth")
        self.client, self.client_key = self.issue("client", "clientAuth")

    def path(self, name):
        return str(self.directory / name)

    def run(self, *arguments):
        done = subprocess.run([self.openssl, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def issue(self, name, usage):
        request, extensions, certificate, key = (self.path(f"{name}.{end}") for end in ("csr", "ext", "pem", "key"))
        with open(extensions, "w") as file:
            file.write(f"basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        self.run("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial", "-days", "2", "-extfile", extensions,
                 "-out", certificate)
        return certificate, key

    def listen(self, mutual):
        """`tls` of a receiver."""
        block = {"cert_file": self.server, "key_file": self.server_key}
        return {**block, "client_ca_file": self.ca} if mutual else block

    def connect(self, mutual):
        """`tls` of an exporter."""
        block = {"ca_file": self.ca}
        return {**block, "cert_file": self.client, "key_file": self.client_key} if mutual else block

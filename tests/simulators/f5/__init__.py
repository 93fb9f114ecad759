"""A BIG-IP that can be had: its iControl REST and the TLS of its virtual servers, on loopback. See README.md."""

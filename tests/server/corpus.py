"""Requests that two parsers could read in two ways, as bytes, each with the status that refuses it (SEC8).

After each stands a second request, which must never be answered.
"""

HOST = b"Host: localhost\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def post(headers: bytes, body: bytes = b"", host: bytes = HOST, version: bytes = b"1.1") -> bytes:
    return b"POST /v1/x HTTP/" + version + b"\r\n" + host + headers + b"\r\n" + body


CORPUS = {
    "length and chunks": (400, post(b"Content-Length: 5\r\n" + CHUNKED, b"0\r\n\r\n" + SMUGGLED)),
    "chunks and length": (400, post(CHUNKED + b"Content-Length: 5\r\n", b"0\r\n\r\n" + SMUGGLED)),
    "two lengths": (400, post(b"Content-Length: 1\r\nContent-Length: 46\r\n", b"x" + SMUGGLED)),
    "two equal lengths": (400, post(b"Content-Length: 1\r\nContent-Length: 1\r\n", b"x" + SMUGGLED)),
    "a list of lengths": (400, post(b"Content-Length: 1, 1\r\n", b"x" + SMUGGLED)),
    "a signed length": (400, post(b"Content-Length: +1\r\n", b"x" + SMUGGLED)),
    "a negative length": (400, post(b"Content-Length: -1\r\n", b"x" + SMUGGLED)),
    "a hexadecimal length": (400, post(b"Content-Length: 0x1\r\n", b"x" + SMUGGLED)),
    "an empty length": (400, post(b"Content-Length:\r\n", b"x" + SMUGGLED)),
    "a length beyond 64 bits": (400, post(b"Content-Length: 18446744073709551617\r\n", b"x" + SMUGGLED)),
    "folded header": (400, post(b"X-A: b\r\n c\r\n", SMUGGLED)),
    "folded coding": (400, post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n" + SMUGGLED)),
    "space before the first header": (400, b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n" + SMUGGLED),
    "space before the colon": (400, post(b"Content-Length : 5\r\n", SMUGGLED)),
    "bare LF": (400, b"GET / HTTP/1.1\nHost: localhost\n\n" + SMUGGLED),
    "bare LF in headers": (400, post(b"X-A: b\nX-C: d\r\n", SMUGGLED)),
    "bare CR in headers": (400, post(b"X-A: b\rX-C: d\r\n", SMUGGLED)),
    "NUL in a header": (400, post(b"X-A: b\0c\r\n", SMUGGLED)),
    "vertical tab in a coding": (400, post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n" + SMUGGLED)),
    "gzip, chunked": (400, post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n" + SMUGGLED)),
    "chunked, gzip": (400, post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n" + SMUGGLED)),
    "identity": (400, post(b"Transfer-Encoding: identity\r\n", SMUGGLED)),
    "xchunked": (400, post(b"Transfer-Encoding: xchunked\r\n", SMUGGLED)),
    "chunked twice": (400, post(CHUNKED + CHUNKED, b"0\r\n\r\n" + SMUGGLED)),
    "chunks in HTTP/1.0": (400, post(CHUNKED, b"0\r\n\r\n" + SMUGGLED, version=b"1.0")),
    "no chunk size": (400, post(CHUNKED, b"zz\r\n\r\n" + SMUGGLED)),
    "negative chunk size": (400, post(CHUNKED, b"-1\r\nx\r\n0\r\n\r\n" + SMUGGLED)),
    "0x chunk size": (400, post(CHUNKED, b"0x1\r\nx\r\n0\r\n\r\n" + SMUGGLED)),
    "chunk longer than said": (400, post(CHUNKED, b"1\r\nxyz\r\n0\r\n\r\n" + SMUGGLED)),
    "chunk size beyond 64 bits": (400, post(CHUNKED, b"fffffffffffffffff\r\nx" + SMUGGLED)),
    "bare LF after a chunk size": (400, post(CHUNKED, b"1\nx\r\n0\r\n\r\n" + SMUGGLED)),
    "bare LF in a chunk extension": (400, post(CHUNKED, b"1;a\nx\r\n0\r\n\r\n" + SMUGGLED)),
    "no Host": (400, post(b"", SMUGGLED, host=b"")),
    "no Host in HTTP/1.0": (400, post(b"", SMUGGLED, host=b"", version=b"1.0")),
    "two Hosts": (400, post(b"Host: localhost\r\n", SMUGGLED)),
    "empty Host": (400, post(b"", SMUGGLED, host=b"Host:\r\n")),
    "Host with a user": (400, post(b"", SMUGGLED, host=b"Host: localhost@evil.example\r\n")),
    "Host with a path": (400, post(b"", SMUGGLED, host=b"Host: localhost/evil\r\n")),
    "two keys": (400, post(b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", SMUGGLED)),
    "another host's URL": (400, b"GET http://evil.example/ HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED),
    "a tunnel": (405, b"CONNECT localhost:22 HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED),
    "an echo": (405, b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED),
    "HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED),
    "HTTP/2.0": (505, b"GET / HTTP/2.0\r\n" + HOST + b"\r\n" + SMUGGLED),
    "HTTP/0.9": (505, b"GET /\r\n\r\n" + SMUGGLED),
    "HTTP/1.2": (400, b"GET / HTTP/1.2\r\n" + HOST + b"\r\n" + SMUGGLED),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + SMUGGLED),
    "bytes in the path": (400, b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED),
    "space in the path": (400, b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED),
    "gzip body": (415, post(b"Content-Encoding: gzip\r\nContent-Length: 1\r\n", b"x" + SMUGGLED)),
    "large head": (431, post(b"X-A: " + b"a" * 32_768 + b"\r\n", SMUGGLED)),
    "large path": (431, b"GET /" + b"a" * 32_768 + b" HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED),
    "megabyte header": (431, post(b"X-A: " + b"a" * 1_000_000 + b"\r\n", SMUGGLED)),
    "101 headers": (431, post(b"".join(b"X-%d: a\r\n" % n for n in range(100)), SMUGGLED)),
    "large trailer": (431, post(CHUNKED, b"0\r\nX-A: " + b"a" * 32_768 + b"\r\n\r\n" + SMUGGLED)),
    "large body": (413, post(b"Content-Length: 8388609\r\n", SMUGGLED)),
}

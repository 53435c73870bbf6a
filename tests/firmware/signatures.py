"""Signatures by keys that openssl has just made, in the form that src/bin/signature.rs reads."""

import os
import struct
import subprocess

MESSAGE = bytes(range(250)) * 4
RS256, ES256, EDDSA = range(3)


def cases(scratch):
    """Each algorithm's name, and its case."""
    for bits in 2048, 3072, 4096:
        key = _key(scratch, "RSA", f"rsa_keygen_bits:{bits}")
        modulus = _openssl("rsa", "-in", key, "-noout", "-modulus").strip().split(b"=")[1]
        yield f"RS256, {bits} bits", _case(RS256, bytes.fromhex(modulus.decode()), _signed(scratch, key, "-sha256"))
    key = _key(scratch, "EC", "ec_paramgen_curve:P-256")
    yield "ES256", _case(ES256, _public(key)[-64:], _fixed(_signed(scratch, key, "-sha256")))
    key = _key(scratch, "ED25519")
    message = _message(scratch)
    signature = _openssl("pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", message)
    yield "EdDSA", _case(EDDSA, _public(key)[-32:], signature)


def _case(algorithm, *parts):
    key, signature = parts
    case = bytes([algorithm])
    for part in key, MESSAGE, signature:
        case += struct.pack("<H", len(part)) + part
    return case


def _key(scratch, algorithm, *options):
    path = os.path.join(scratch, "key.pem")
    chosen = [word for option in options for word in ("-pkeyopt", option)]
    _openssl("genpkey", "-algorithm", algorithm, *chosen, "-out", path)
    return path


def _public(key):
    return _openssl("pkey", "-in", key, "-pubout", "-outform", "DER")


def _message(scratch):
    path = os.path.join(scratch, "message")
    with open(path, "wb") as file:
        file.write(MESSAGE)
    return path


def _signed(scratch, key, digest):
    return _openssl("dgst", digest, "-sign", key, _message(scratch))


def _fixed(der):
    """`r` and `s`, 32 bytes each, out of their DER."""
    numbers, at = b"", 2
    for _ in range(2):
        length = der[at + 1]
        numbers += der[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + length
    return numbers


def _openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout

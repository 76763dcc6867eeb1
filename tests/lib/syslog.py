"""syslog.py FILE SOCKET...: receives what programs log and appends it to FILE, one line per record:

  2026-01-31T08:00:00.123 authpriv.info sshd[42]: Accepted publickey for alice ...
"""
import os
import re
import select
import socket
import sys
import time

FACILITIES = ("kern user mail daemon auth syslog lpr news uucp cron authpriv ftp".split()
              + [f"f{n}" for n in range(12, 16)] + [f"local{n}" for n in range(8)])
SEVERITIES = "emerg alert crit err warning notice info debug".split()
RECORD = re.compile(rb"<(\d{1,3})>(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d )?(.*)", re.S)


def line(record, now):
    priority, text = 13, record
    if match := RECORD.match(record):
        priority, text = int(match[1]) % 192, match[2]
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03d}"
    # A record is one line, whatever was put into it; bytes above 127 are kept.
    text = re.sub(rb"[\x00-\x1f\x7f]", lambda m: b"#%03o" % m[0][0], text.rstrip(b"\n\0"))
    return f"{stamp} {FACILITIES[priority >> 3]}.{SEVERITIES[priority & 7]} ".encode() + text + b"\n"


def listen(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(path)
    os.chmod(path, 0o666)
    return sock


def main(log, *paths):
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    socks = [listen(path) for path in paths]
    while True:
        for sock in select.select(socks, [], [])[0]:
            os.write(out, line(sock.recv(65536), time.time()))


main(*sys.argv[1:])

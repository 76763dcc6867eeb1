"""guest_ready.py NAME=PTY...: waits until each guest (boot.asm) greets on its serial port; names those that do not."""
import os
import select
import sys
import time

DEADLINE = 15


def main(args):
    guests = {}
    for arg in args:
        name, pty = arg.split("=", 1)
        guests[os.open(pty, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)] = [name, b""]
    end = time.monotonic() + DEADLINE
    while guests and time.monotonic() < end:
        for fd in guests:
            os.write(fd, b"?")      # lost while the guest boots, so asked again
        time.sleep(0.03)
        for fd in select.select(list(guests), [], [], 0)[0]:
            guests[fd][1] += os.read(fd, 4096)
            if b"virtgate guest %s ready\r\n" % guests[fd][0].encode() in guests[fd][1]:
                del guests[fd]
    for name, seen in guests.values():
        print(f"VM {name} does not answer on its serial port; it said {seen!r}", file=sys.stderr)
    return 1 if guests else 0


sys.exit(main(sys.argv[1:]))

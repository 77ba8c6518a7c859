"""Say whether two folders hold the same: names, kinds, executable bits, contents, link targets.

    python benchmarks/compare.py A B [--without NAME]...

Exit 0 when they do; else 1 and the first differences. Times, owners and empty folders are not compared:
not every tool keeps them.
"""

import os
import stat
import sys

import program

BLOCK = 1 << 20


def listing(root, without):
    """path -> ("file", size, executable) or ("link", target, None) of everything below `root` but folders."""
    found = {}
    for base, dirs, names in os.walk(root):
        inside = base[len(root) + 1 :]
        dirs[:] = [name for name in dirs if not (inside == "" and name in without)]
        for name in [*names, *(d for d in dirs if os.path.islink(f"{base}/{d}"))]:
            if not inside and name in without:
                continue
            info = os.lstat(f"{base}/{name}")
            path = f"{inside}/{name}".lstrip("/")
            if stat.S_ISLNK(info.st_mode):
                found[path] = ("link", os.readlink(f"{base}/{name}"), None)
            else:
                found[path] = ("file", info.st_size, bool(info.st_mode & 0o100))
    return found


def same_bytes(a, b):
    with open(a, "rb", buffering=0) as left, open(b, "rb", buffering=0) as right:
        while True:
            one, other = left.read(BLOCK), right.read(BLOCK)
            if one != other:
                return False
            if not one:
                return True


def differences(a, b, without=()):
    """Lines that say what differs, all of them."""
    left, right = listing(a, without), listing(b, without)
    lines = [f"only in the first: {path}" for path in sorted(left.keys() - right.keys())]
    lines += [f"only in the second: {path}" for path in sorted(right.keys() - left.keys())]
    for path in sorted(left.keys() & right.keys()):
        if left[path] != right[path]:
            lines.append(f"{path}: {left[path]} and {right[path]}")
        elif left[path][0] == "file" and not same_bytes(f"{a}/{path}", f"{b}/{path}"):
            lines.append(f"{path}: contents differ")
    return lines


def main():
    parser = program.parser(__doc__)
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument(
        "--without", action="append", default=[], help="a name at the top that is not compared"
    )
    args = parser.parse_args()
    lines = differences(args.a.rstrip("/"), args.b.rstrip("/"), tuple(args.without))
    print("\n".join(lines[:5]) or "same")
    if len(lines) > 5:
        print(f"and {len(lines) - 5} more")
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()

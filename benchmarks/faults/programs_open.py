# Programs and faults are data: one line each reads better than one broken over five.
# ruff: noqa: E501
"""The open half: programs whose results were looked at while rules were written."""

from __future__ import annotations

import json
import os
import random
import resource
import sqlite3
import subprocess
import sys

from benchmarks.faults.harness import Fault, Program, World, routes_json

CFG, COR, DRF = "config_error", "data_corruption", "drift"
EXT, LOG, RES = "external_failure", "logic_error", "resource_exhaustion"
PY = sys.executable


def _rename_column(world: World) -> None:
    with sqlite3.connect(world.root / "ledger.db") as db:
        db.execute("alter table accounts rename column balance to amount_cents")
    db.close()
    world.write("migrations/002_cents.sql", "alter table accounts rename column balance to amount_cents;\n")


ORDERS = "id,customer,price,quantity\n" + "".join(
    f"{i},c{i % 7},{round(3 + i * 0.37, 2)},{1 + i % 4}\n" for i in range(1, 61)
)

orders = Program(
    "orders",
    {
        "app/main.py": """
import csv, json, sys
sys.path.insert(0, "vendor")
import money
from app import totals

def main():
    with open("config.json") as f:
        config = json.load(f)
    rate = float(config["tax_rate"])
    if config["currency"] not in ("EUR", "USD"):
        raise ValueError(f"unsupported currency: {config['currency']}")
    print("reading", config["input"])
    with open(config["input"], newline="") as f:
        rows = list(csv.DictReader(f))
    lines = [totals.line(row) for row in rows]
    gross = totals.gross(lines, rate)
    report = {"orders": len(rows), "gross": money.fmt(gross), "top": totals.top(lines, config["top"])}
    with open("out/report.json", "w") as f:
        json.dump(report, f)
    print("wrote", report["gross"])
""",
        "app/__init__.py": "",
        "app/totals.py": """
def line(row):
    return row["customer"], float(row["price"]) * int(row["quantity"])

def gross(lines, rate):
    total = sum(amount for _, amount in lines)
    assert total >= 0, "total must not be negative"
    return total * (1 + rate)

def top(lines, count):
    best = {}
    for customer, amount in lines:
        best[customer] = best.get(customer, 0) + amount
    ranked = sorted(best, key=best.get, reverse=True)
    return [ranked[i] for i in range(count)]
""",
        "vendor/money.py": "def fmt(value):\n    return f'{value:.2f} EUR'\n",
        "requirements.txt": "money==1.2.0\n",
        "config.json": json.dumps(
            {"input": "data/orders.csv", "tax_rate": 0.2, "currency": "EUR", "top": 3}, indent=2
        )
        + "\n",
        "data/orders.csv": ORDERS,
        "out/.keep": "",
    },
    (PY, "-c", "from app.main import main; main()"),
    (
        Fault(CFG, "rate-is-a-word", lambda w: w.swap("config.json", "0.2", '"twenty"')),
        Fault(CFG, "input-path-wrong", lambda w: w.swap("config.json", "data/orders.csv", "data/order.csv")),
        Fault(CFG, "trailing-comma", lambda w: w.swap("config.json", '"top": 3', '"top": 3,')),
        Fault(CFG, "key-gone", lambda w: w.swap("config.json", '"currency": "EUR",', "")),
        Fault(COR, "csv-nul-bytes", lambda w: w.swap("data/orders.csv", ",14.1,", ",\0\0\0\0,")),
        Fault(COR, "csv-cut", lambda w: w.cut("data/orders.csv", 0.705)),
        Fault(COR, "price-garbled", lambda w: w.swap("data/orders.csv", "10.4,", "1#.4,")),
        Fault(
            DRF,
            "vendored-renamed",
            lambda w: (
                w.write("vendor/money.py", "def format_amount(value):\n    return f'{value:.2f}'\n"),
                w.write("requirements.txt", "money==2.0.0\n"),
            ),
        ),
        Fault(
            DRF,
            "column-renamed",
            lambda w: w.swap("data/orders.csv", "id,customer,price", "id,customer,unit_price"),
        ),
        Fault(
            DRF,
            "input-moved",
            lambda w: (
                w.write("data/2024/orders.csv", w.read("data/orders.csv")),
                os.remove(w.root / "data/orders.csv"),
            ),
        ),
        Fault(LOG, "off-by-one", lambda w: w.swap("app/totals.py", "range(count)", "range(count + 5)")),
        Fault(
            LOG,
            "none-returned",
            lambda w: w.swap("app/totals.py", "    return total * (1 + rate)", "    total * (1 + rate)"),
        ),
        Fault(
            LOG,
            "sign-flipped",
            lambda w: w.swap("app/totals.py", 'float(row["price"]) *', '-float(row["price"]) *'),
        ),
        Fault(RES, "file-size-limit", lambda w: w.limit(resource.RLIMIT_FSIZE, 64)),
        Fault(RES, "handles", lambda w: w.limit(resource.RLIMIT_NOFILE, 4)),
    ),
)

fetcher = Program(
    "fetcher",
    {
        "fetch.py": """
import configparser, json, logging, sqlite3, sys, time, urllib.request
import parse

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
log = logging.getLogger("fetch")

def get(base, path, timeout, token):
    request = urllib.request.Request(base + path, headers={"Authorization": "Bearer " + token})
    with urllib.request.urlopen(request, timeout=timeout) as response:
        return response.read()

def main():
    config = configparser.ConfigParser()
    config.read("fetch.ini")
    api = config["api"]
    token = open("token.txt").read().strip()
    log.info("fetching %s", api["base"])
    for attempt in range(1, 3):
        try:
            body = get(api["base"], api["path"], api.getfloat("timeout"), token)
            break
        except OSError as error:
            if attempt == 2:
                log.error("giving up after %d attempts", attempt)
                raise
            log.warning("attempt %d failed: %s, retrying", attempt, error)
            time.sleep(0.05)
    items = parse.items(body)
    db = sqlite3.connect(config["store"]["file"])
    db.execute("create table if not exists items (id integer primary key, name text not null, score real)")
    with db:
        db.executemany("insert or replace into items values (?, ?, ?)", items)
    log.info("stored %d items", len(items))

main()
""",
        "parse.py": """
import json

def items(body):
    data = json.loads(body)
    return [(item["id"], item["name"], item["score"] / data["scale"]) for item in data["items"]]
""",
        "fetch.ini": "[api]\nbase = http://127.0.0.1:@PORT@\npath = /v1/items\ntimeout = 1.5\n\n[store]\nfile = items.db\n",
        "token.txt": "tok-3f9a\n",
    },
    (PY, "fetch.py"),
    (
        Fault(CFG, "port-changed", lambda w: w.swap("fetch.ini", "127.0.0.1:", "127.0.0.1:1")),
        Fault(CFG, "host-typo", lambda w: w.swap("fetch.ini", "http://127.0.0.1", "http://api.invalid")),
        Fault(CFG, "timeout-tiny", lambda w: w.swap("fetch.ini", "timeout = 1.5", "timeout = fast")),
        Fault(CFG, "section-gone", lambda w: w.swap("fetch.ini", "[store]\nfile = items.db\n", "")),
        Fault(COR, "db-overwritten", lambda w: w.write("items.db", b"\x13\x37" * 600)),
        Fault(
            COR, "db-pages-garbled", lambda w: w.write("items.db", w.bytes("items.db")[:100] + b"\xff" * 5000)
        ),
        Fault(
            DRF,
            "response-field-gone",
            lambda w: w.service.routes.update(routes_json(v1__items={"data": [], "scale": 2})),
        ),
        Fault(
            DRF, "api-withdrawn", lambda w: setattr(w.service, "mood", (410, '{"error": "v1 was retired"}'))
        ),
        Fault(
            DRF, "token-expired", lambda w: setattr(w.service, "mood", (401, '{"error": "token expired"}'))
        ),
        Fault(EXT, "down", lambda w: w.service.down()),
        Fault(EXT, "unavailable", lambda w: setattr(w.service, "mood", (503, "busy"))),
        Fault(EXT, "reset", lambda w: setattr(w.service, "mood", "reset")),
        Fault(EXT, "slow", lambda w: setattr(w.service, "mood", "slow")),
        Fault(EXT, "captive-portal", lambda w: setattr(w.service, "mood", "garbage")),
        Fault(EXT, "throttled", lambda w: setattr(w.service, "mood", (429, '{"error": "slow down"}'))),
        Fault(LOG, "wrong-key", lambda w: w.swap("parse.py", 'item["name"]', 'item["nmae"]')),
        Fault(
            LOG, "tuple-too-long", lambda w: w.swap("parse.py", 'item["name"],', 'item["name"], item["id"],')
        ),
        Fault(
            RES,
            "db-file-limit",
            lambda w: (
                w.service.routes.update(
                    routes_json(
                        v1__items={
                            "scale": 1,
                            "items": [{"id": i, "name": "x" * 900, "score": 1} for i in range(60)],
                        }
                    )
                ),
                w.limit(resource.RLIMIT_FSIZE, 12000),
            ),
        ),
        Fault(
            RES,
            "memory",
            lambda w: (
                w.service.routes.update(
                    routes_json(
                        v1__items={
                            "scale": 1,
                            "items": [{"id": i, "name": "x" * 90000, "score": 1} for i in range(900)],
                        }
                    )
                ),
                w.limit(resource.RLIMIT_AS, 150 << 20),
            ),
        ),
    ),
    routes=routes_json(
        v1__items={"scale": 2, "items": [{"id": i, "name": f"n{i}", "score": i * 3} for i in range(20)]}
    ),
    append=True,
)

EVENTS = "".join(
    json.dumps(
        {"ts": 1700000000 + i * 60, "user": f"u{i % 9}", "kind": ["view", "buy"][i % 5 == 0], "amount": i}
    )
    + "\n"
    for i in range(120)
)

board = Program(
    "board",
    {
        "board.js": """
const fs = require('fs');
const path = require('path');
const stats = require('./lib/stats');
const pad = require('pad-text');

const settings = JSON.parse(fs.readFileSync('settings.json', 'utf8'));
const rows = fs.readFileSync(settings.events, 'utf8').trim().split('\\n').map((line, i) => {
  try { return JSON.parse(line); } catch (error) { throw new Error(`event ${i + 1} of ${settings.events} is unreadable`, { cause: error }); }
});
const days = stats.byDay(rows, settings.dayLength);
if (!['html', 'text'].includes(settings.format)) throw new Error(`Invalid option format: ${settings.format}`);
const body = [...days].map(([day, sum]) => pad(String(day), settings.width) + sum.toFixed(1)).join('\\n');
fs.writeFileSync(path.join(settings.output, 'board.' + settings.format), body);
console.log('days:', days.size, 'buyers:', stats.buyers(rows).length);
""",
        "lib/stats.js": """
exports.byDay = (rows, length) => {
  const days = new Map();
  for (const row of rows) {
    const day = Math.floor(row.ts / length);
    if (!Number.isFinite(row.amount)) throw new TypeError('amount is not a number: ' + row.amount);
    days.set(day, (days.get(day) || 0) + row.amount);
  }
  return days;
};
exports.buyers = (rows) => rows.filter((row) => row.kind === 'buy').map((row) => row.user.toUpperCase());
""",
        "node_modules/pad-text/index.js": "module.exports = (text, width) => text.padEnd(width);\n",
        "node_modules/pad-text/package.json": '{"name": "pad-text", "version": "1.0.0", "main": "index.js"}\n',
        "package.json": '{"name": "board", "dependencies": {"pad-text": "^1.0.0"}}\n',
        "settings.json": json.dumps(
            {"events": "data/events.jsonl", "dayLength": 3600, "format": "html", "width": 12, "output": "out"}
        )
        + "\n",
        "data/events.jsonl": EVENTS,
        "out/.keep": "",
    },
    ("node", "board.js"),
    (
        Fault(CFG, "format-unknown", lambda w: w.swap("settings.json", '"html"', '"htm"')),
        Fault(CFG, "output-folder-wrong", lambda w: w.swap("settings.json", '"out"', '"public/out"')),
        Fault(
            CFG,
            "width-is-text",
            lambda w: w.swap("settings.json", '"events": "data/events.jsonl"', '"events": null'),
        ),
        Fault(COR, "last-line-cut", lambda w: w.cut("data/events.jsonl", 0.83)),
        Fault(COR, "bytes-flipped", lambda w: w.swap("data/events.jsonl", '"user": "u3"', '"user\x01: "u3"')),
        Fault(COR, "settings-torn", lambda w: w.cut("settings.json", 0.5)),
        Fault(
            DRF,
            "package-major",
            lambda w: (
                w.write(
                    "node_modules/pad-text/index.js", "exports.pad = (text, width) => text.padEnd(width);\n"
                ),
                w.swap("node_modules/pad-text/package.json", "1.0.0", "2.0.0"),
            ),
        ),
        Fault(
            DRF,
            "package-gone",
            lambda w: [
                os.remove(w.root / "node_modules/pad-text" / name) for name in ("index.js", "package.json")
            ],
        ),
        Fault(
            DRF,
            "field-renamed",
            lambda w: w.write(
                "data/events.jsonl", w.read("data/events.jsonl").replace('"amount"', '"value"')
            ),
        ),
        Fault(LOG, "undefined-variable", lambda w: w.swap("lib/stats.js", "return days;", "return dayz;")),
        Fault(
            LOG,
            "wrong-method",
            lambda w: w.swap("lib/stats.js", "row.user.toUpperCase()", "row.user.name.toUpperCase()"),
        ),
        Fault(
            LOG,
            "endless-recursion",
            lambda w: w.swap(
                "lib/stats.js",
                "exports.buyers = (rows) =>",
                "exports.buyers = (rows) => rows.length > 1 ? exports.buyers(rows) :",
            ),
        ),
        Fault(
            RES,
            "heap",
            lambda w: (
                w.write("data/events.jsonl", w.read("data/events.jsonl") * 3000),
                w.env.update(NODE_OPTIONS="--max-old-space-size=24"),
            ),
        ),
        Fault(RES, "file-size", lambda w: w.limit(resource.RLIMIT_FSIZE, 8)),
    ),
)

backup = Program(
    "backup",
    {
        "backup.sh": """#!/bin/bash
set -eu
. ./backup.conf
echo "backup of $SOURCE_DIR at level $LEVEL"
[ -d "$SOURCE_DIR" ] || { echo "error: source folder $SOURCE_DIR not found" >&2; exit 66; }
(cd "$SOURCE_DIR" && sha256sum -c --quiet ../sums.txt)
tar -cf work.tar "$SOURCE_DIR"
gzip -"$LEVEL" -c work.tar > "$TARGET/backup.tar.gz"
bin/rotate "$TARGET" "$KEEP"
count=$(gzip -dc "$TARGET/backup.tar.gz" | tar -tf - | wc -l)
if [ "$count" -lt "$MIN_FILES" ]; then echo "error: only $count files in archive" >&2; exit 1; fi
rm -f work.tar
echo "done: $count entries"
""",
        "bin/rotate": '#!/bin/bash\nset -eu\n# keep the newest $2 archives in $1\nls -t "$1" | tail -n +"$(($2 + 1))" | while read -r name; do rm -f "$1/$name"; done\n',
        "backup.conf": "SOURCE_DIR=files\nTARGET=target\nLEVEL=6\nKEEP=5\nMIN_FILES=3\n",
        "files/a.txt": "alpha\n" * 200,
        "files/b.txt": "".join(f"{i * 7919 % 10007}\n" for i in range(4000)),
        "files/c.bin": "c" * 3000,
        "target/.keep": "",
    },
    ("bash", "backup.sh"),
    (
        Fault(CFG, "level-bad", lambda w: w.swap("backup.conf", "LEVEL=6", "LEVEL=best")),
        Fault(CFG, "variable-gone", lambda w: w.swap("backup.conf", "KEEP=5\n", "")),
        Fault(
            CFG, "target-wrong", lambda w: w.swap("backup.conf", "TARGET=target", "TARGET=/mnt/backup-disk-7")
        ),
        Fault(COR, "file-garbled", lambda w: w.swap("files/b.txt", "7919\n", "79\x0019\n")),
        Fault(COR, "file-cut", lambda w: w.cut("files/c.bin", 0.4)),
        Fault(DRF, "tool-gone", lambda w: os.rename(w.root / "bin/rotate", w.root / "bin/rotate-archives")),
        Fault(DRF, "source-moved", lambda w: os.rename(w.root / "files", w.root / "documents")),
        Fault(
            LOG,
            "typo-in-variable",
            lambda w: w.swap("backup.sh", '"$count" -lt "$MIN_FILES"', '"$cuont" -lt "$MIN_FILES"'),
        ),
        Fault(
            LOG,
            "broken-quote",
            lambda w: w.swap("backup.sh", "rm -f work.tar\n", "if [ -f work.tar ]; then rm -f work.tar\n"),
        ),
        Fault(RES, "file-size", lambda w: w.limit(resource.RLIMIT_FSIZE, 16384)),
        Fault(RES, "disk-full", lambda w: os.symlink("/dev/full", w.root / "work.tar")),
    ),
    setup=lambda w: (
        os.chmod(w.root / "bin/rotate", 0o755),
        w.write(
            "sums.txt",
            subprocess.run(
                "sha256sum *", shell=True, cwd=w.root / "files", stdout=subprocess.PIPE, text=True, check=True
            ).stdout,
        ),
    ),
)


def _ledger_setup(world: World) -> None:
    with sqlite3.connect(world.root / "ledger.db") as db:
        db.executescript((world.root / "migrations/001_init.sql").read_text())
        db.executemany("insert into accounts values (?, ?, ?)", [(i, f"acc{i}", 1000) for i in range(8)])
    db.close()


TRANSFERS = "".join(
    json.dumps({"from": i % 8, "to": (i + 3) % 8, "amount": 1 + i % 5}) + "\n" for i in range(40)
)

ledger = Program(
    "ledger",
    {
        "ledger/__init__.py": "",
        "ledger/run.py": """
import json, logging, sqlite3, sys, tomllib
from ledger.book import Book

def main():
    with open("ledger.toml", "rb") as f:
        settings = tomllib.load(f)
    logging.basicConfig(filename="logs/ledger.log", level=settings["log"]["level"],
                        format="%(asctime)s [%(process)d] %(levelname)-7s %(name)s: %(message)s")
    log = logging.getLogger("ledger")
    try:
        log.info("opening %s", settings["book"]["path"])
        book = Book(settings["book"]["path"], settings["book"]["limit"])
        for number, line in enumerate(open(settings["queue"]["file"]), 1):
            transfer = json.loads(line)
            book.move(transfer["from"], transfer["to"], transfer["amount"])
        book.close()
        log.info("applied %d transfers", number)
    except Exception:
        log.exception("ledger run failed")
        return 1
    return 0

if __name__ == "__main__":
    sys.exit(main())
""",
        "ledger/book.py": """
import sqlite3

class Book:
    def __init__(self, path, limit):
        self.db = sqlite3.connect(f"file:{path}?mode=rw", uri=True)
        self.limit = limit
        self.total = self._sum()

    def _sum(self):
        return self.db.execute("select sum(balance) from accounts").fetchone()[0]

    def move(self, source, target, amount):
        if amount <= 0 or amount > self.limit:
            raise ValueError(f"amount {amount} is outside the limit {self.limit}")
        self.db.execute("update accounts set balance = balance - ? where id = ?", (amount, source))
        self.db.execute("update accounts set balance = balance + ? where id = ?", (amount, target))

    def close(self):
        if self._sum() != self.total:
            raise AssertionError(f"books do not balance: expected {self.total}, got {self._sum()}")
        self.db.commit()
        self.db.close()
""",
        "migrations/001_init.sql": "create table accounts (id integer primary key, name text, balance integer not null);\n",
        "ledger.toml": '[log]\nlevel = "INFO"\n\n[book]\npath = "ledger.db"\nlimit = 100\n\n[queue]\nfile = "data/queue.jsonl"\n',
        "data/queue.jsonl": TRANSFERS,
        "logs/.keep": "",
    },
    (PY, "-m", "ledger.run"),
    (
        Fault(CFG, "limit-too-low", lambda w: w.swap("ledger.toml", "limit = 100", "limit = 2")),
        Fault(CFG, "level-unknown", lambda w: w.swap("ledger.toml", '"INFO"', '"VERBOSE"')),
        Fault(CFG, "toml-broken", lambda w: w.swap("ledger.toml", 'path = "ledger.db"', "path = ledger.db")),
        Fault(CFG, "db-path", lambda w: w.swap("ledger.toml", '"ledger.db"', '"db/ledger.db"')),
        Fault(
            COR, "database-torn", lambda w: w.write("ledger.db", w.bytes("ledger.db")[:4096] + b"\0" * 512)
        ),
        Fault(
            COR,
            "queue-line-garbled",
            lambda w: w.swap("data/queue.jsonl", '"amount": 3}\n', '"amou\x7f\x02t": 3\n'),
        ),
        Fault(DRF, "column-renamed", _rename_column),
        Fault(
            DRF,
            "queue-format",
            lambda w: w.write("data/queue.jsonl", w.read("data/queue.jsonl").replace('"from"', '"source"')),
        ),
        Fault(
            LOG,
            "lost-update",
            lambda w: w.swap(
                "ledger/book.py", "balance = balance + ? where", "balance = balance + ? - 1 where"
            ),
        ),
        Fault(
            LOG,
            "argument-order",
            lambda w: w.swap(
                "ledger/book.py", "def move(self, source, target, amount):", "def move(self, source, target):"
            ),
        ),
        Fault(
            LOG, "sql-typo", lambda w: w.swap("ledger/book.py", "select sum(balance)", "select sum(balanse)")
        ),
        Fault(RES, "database-full", lambda w: w.limit(resource.RLIMIT_FSIZE, 2048)),
        Fault(
            RES,
            "cpu",
            lambda w: (
                w.write("data/queue.jsonl", w.read("data/queue.jsonl") * 30000),
                w.limit(resource.RLIMIT_CPU, 1),
            ),
        ),
    ),
    setup=_ledger_setup,
    log="logs/console.log",
)


relay = Program(
    "relay",
    {
        "relay.py": """
import http.client, json, logging, os, threading, time
from http.server import BaseHTTPRequestHandler, HTTPServer
import handlers

settings = dict(line.split("=", 1) for line in open("relay.env").read().split() if "=" in line)
server_log = logging.FileHandler("logs/server.log")
server_log.setFormatter(logging.Formatter("%(asctime)s %(levelname)s server %(message)s"))
log = logging.getLogger("server")
log.addHandler(server_log)
log.setLevel("INFO")

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            body = handlers.answer(self.path, settings).encode()
        except Exception:
            log.exception("request %s failed", self.path)
            self.send_error(500)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        log.info(args[0], *args[1:])

server = HTTPServer(("127.0.0.1", int(settings.get("LISTEN_PORT", "0"))), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_address[1]
for path in ("/health", "/names", "/rates"):
    connection = http.client.HTTPConnection("localhost", port, timeout=5)
    connection.request("GET", path)
    response = connection.getresponse()
    if response.status != 200:
        print(f"client: http://localhost:{port}{path} returned status {response.status}")
        raise SystemExit(3)
    print("client:", path, len(response.read()), "bytes")
""",
        "handlers.py": """
import json, urllib.request

def answer(path, settings):
    if path == "/health":
        return "ok"
    if path == "/names":
        return ",".join(sorted(json.load(open(settings["NAMES_FILE"]))))
    with urllib.request.urlopen(settings["RATES_URL"] + "/rates", timeout=1) as response:
        rates = json.load(response)
    return str(max(rates.values()) / min(rates.values()))
""",
        "relay.env": "NAMES_FILE=data/names.json\nRATES_URL=http://127.0.0.1:@PORT@\n",
        "data/names.json": json.dumps([f"name{i}" for i in range(30)]),
        "logs/.keep": "",
    },
    (PY, "relay.py"),
    (
        Fault(CFG, "names-file-wrong", lambda w: w.swap("relay.env", "data/names.json", "data/nam.json")),
        Fault(
            CFG, "rates-url-wrong", lambda w: w.swap("relay.env", "http://127.0.0.1:", "http://127.0.0.1:9")
        ),
        Fault(
            CFG,
            "port-out-of-range",
            lambda w: w.write("relay.env", w.read("relay.env") + "LISTEN_PORT=99999\n"),
        ),
        Fault(COR, "names-cut", lambda w: w.cut("data/names.json", 0.6)),
        Fault(COR, "names-emptied", lambda w: w.write("data/names.json", "")),
        Fault(
            DRF,
            "names-shape",
            lambda w: w.write("data/names.json", json.dumps([{"first": f"name{i}"} for i in range(30)])),
        ),
        Fault(
            DRF,
            "rates-shape",
            lambda w: w.service.routes.update(routes_json(rates={"base": "EUR", "rates": {"a": 1.0}})),
        ),
        Fault(EXT, "rates-down", lambda w: w.service.down()),
        Fault(EXT, "rates-502", lambda w: setattr(w.service, "mood", (502, "bad gateway"))),
        Fault(EXT, "rates-short-body", lambda w: setattr(w.service, "mood", "short")),
        Fault(EXT, "rates-slow", lambda w: setattr(w.service, "mood", "slow")),
        Fault(
            LOG,
            "wrong-name",
            lambda w: w.swap("handlers.py", "rates.values()) / min", "rates.items()) / min"),
        ),
        Fault(
            LOG,
            "zero",
            lambda w: w.swap("handlers.py", "/ min(rates.values())", "/ (len(rates) - len(rates))"),
        ),
        Fault(RES, "handles", lambda w: w.limit(resource.RLIMIT_NOFILE, 7)),
        Fault(
            RES,
            "memory",
            lambda w: (
                w.write("data/names.json", json.dumps(["n" * 5000] * 20000)),
                w.limit(resource.RLIMIT_AS, 180 << 20),
            ),
        ),
    ),
    routes=routes_json(rates={"EUR": 1.0, "USD": 1.1, "GBP": 0.86}),
    log="logs/client.log",
)

random.seed(7)
PROGRAMS = (orders, fetcher, board, backup, ledger, relay)

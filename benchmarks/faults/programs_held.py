# Programs and faults are data: one line each reads better than one broken over five.
# ruff: noqa: E501
"""The held half: programs written before, and never looked at while, rules were tuned on the open half."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import resource
import sqlite3
import struct
import subprocess
import sys
import time
import zlib

from benchmarks.faults.harness import Fault, Program, World, routes_json

CFG, COR, DRF = "config_error", "data_corruption", "drift"
EXT, LOG, RES = "external_failure", "logic_error", "resource_exhaustion"
PY = sys.executable


def _rename_table(world: World) -> None:
    with sqlite3.connect(world.root / "db/sales.sqlite") as db:
        db.execute("drop table sales")
        db.execute("create table sales (sold_on text, shop_id text)")
    db.close()


# --- tiles: Node, binary container with magic, lengths and checksums; JSON log -------------------------------


def _tile(i: int) -> bytes:
    body = bytes((i * 31 + k * 7) % 251 for k in range(400))
    return struct.pack(">II", len(body), zlib.crc32(body)) + body


def _tiles_setup(world: World) -> None:
    world.write("assets/map.tiles", b"TILE\x02" + b"".join(_tile(i) for i in range(12)))


tiles = Program(
    "tiles",
    {
        "src/index.mjs": """
import fs from 'node:fs';
import zlib from 'node:zlib';
import { loadConfig } from './config.mjs';
import { readTiles } from './tiles.mjs';

const log = (level, msg, extra = {}) => console.log(JSON.stringify({ level, time: Date.now(), name: 'tiles', msg, ...extra }));
try {
  const config = loadConfig('tiles.yaml');
  log(30, 'start', { source: config.source });
  const found = readTiles(fs.readFileSync(config.source), Number(config.maxTiles));
  const chosen = found.filter((tile) => tile.index % Number(config.every) === 0);
  if (chosen.length === 0) throw new Error(`nothing selected with every=${config.every}`);
  const packed = zlib.deflateSync(Buffer.concat(chosen.map((tile) => tile.body)), { level: Number(config.compression) });
  fs.writeFileSync(config.target, packed);
  log(30, 'finished', { tiles: chosen.length, bytes: packed.length });
} catch (err) {
  log(60, 'tile build stopped', { err: { type: err.name, message: err.message, stack: err.stack, code: err.code } });
  process.exitCode = 1;
}
""",
        "src/config.mjs": """
import fs from 'node:fs';
export function loadConfig(name) {
  const values = {};
  for (const [i, line] of fs.readFileSync(name, 'utf8').split('\\n').entries()) {
    if (!line.trim() || line.startsWith('#')) continue;
    const m = /^(\\w+):\\s*(.+)$/.exec(line);
    if (!m) throw new SyntaxError(`${name}:${i + 1}: cannot read '${line}'`);
    values[m[1]] = m[2];
  }
  for (const key of ['source', 'target', 'every', 'compression', 'maxTiles']) {
    if (!(key in values)) throw new Error(`${name}: required key '${key}' is absent`);
  }
  return values;
}
""",
        "src/tiles.mjs": """
import crc32 from '../third_party/crc32.mjs';
export function readTiles(buffer, max) {
  if (buffer.toString('latin1', 0, 4) !== 'TILE') throw new Error('bad magic in tile container');
  if (buffer[4] !== 2) throw new Error(`container format ${buffer[4]} is not supported, expected version 2`);
  const tiles = [];
  for (let at = 5, index = 0; at < buffer.length; index++) {
    const length = buffer.readUInt32BE(at);
    const sum = buffer.readUInt32BE(at + 4);
    const body = buffer.subarray(at + 8, at + 8 + length);
    if (body.length !== length) throw new Error(`tile ${index} is truncated: ${body.length} of ${length} bytes`);
    if (crc32(body) !== sum) throw new Error(`tile ${index}: checksum mismatch`);
    tiles.push({ index, body });
    at += 8 + length;
    if (tiles.length > max) throw new Error(`more than maxTiles=${max} tiles`);
  }
  return tiles;
}
""",
        "third_party/crc32.mjs": """
const table = Array.from({ length: 256 }, (_, n) => { let c = n; for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1; return c >>> 0; });
export default function crc32(bytes) { let c = 0xffffffff; for (const b of bytes) c = table[(c ^ b) & 255] ^ (c >>> 8); return (c ^ 0xffffffff) >>> 0; }
""",
        "package.json": '{"name": "tiles", "type": "module", "version": "0.3.0"}\n',
        "tiles.yaml": "# tile builder\nsource: assets/map.tiles\ntarget: build/map.z\nevery: 2\ncompression: 6\nmaxTiles: 100\n",
        "build/.keep": "",
    },
    ("node", "src/index.mjs"),
    (
        Fault(
            CFG,
            "compression-out-of-range",
            lambda w: w.swap("tiles.yaml", "compression: 6", "compression: 66"),
        ),
        Fault(CFG, "key-misspelt", lambda w: w.swap("tiles.yaml", "every:", "evry:")),
        Fault(CFG, "max-too-small", lambda w: w.swap("tiles.yaml", "maxTiles: 100", "maxTiles: 4")),
        Fault(
            COR,
            "bit-flip",
            lambda w: w.write(
                "assets/map.tiles",
                w.bytes("assets/map.tiles")[:900] + b"\xa5" + w.bytes("assets/map.tiles")[901:],
            ),
        ),
        Fault(COR, "cut", lambda w: w.cut("assets/map.tiles", 0.6)),
        Fault(
            DRF,
            "container-version",
            lambda w: w.write("assets/map.tiles", b"TILE\x03" + w.bytes("assets/map.tiles")[5:]),
        ),
        Fault(
            DRF,
            "library-export",
            lambda w: w.swap(
                "third_party/crc32.mjs", "export default function crc32", "export function crc32"
            ),
        ),
        Fault(LOG, "wrong-offset", lambda w: w.swap("src/tiles.mjs", "at += 8 + length", "at += 4 + length")),
        Fault(LOG, "undefined-field", lambda w: w.swap("src/index.mjs", "tile.body))", "tile.data.body))")),
        Fault(RES, "file-limit", lambda w: w.limit(resource.RLIMIT_FSIZE, 100)),
        Fault(
            RES,
            "disk-full",
            lambda w: (os.remove(w.root / "build/map.z"), os.symlink("/dev/full", w.root / "build/map.z")),
        ),
    ),
    setup=_tiles_setup,
    log="tiles.log",
    append=True,
)

# --- crawl: Node, fetch against a loopback service, .env ----------------------------------------------------

crawl = Program(
    "crawl",
    {
        "crawl.js": """
const fs = require('fs');
const { normalise } = require('./pages');
const env = Object.fromEntries(fs.readFileSync('.env', 'utf8').split('\\n').filter(Boolean).map((l) => l.split(/=(.*)/s).slice(0, 2)));
const stamp = () => new Date().toISOString();

async function load(path) {
  const response = await fetch(env.SITE_URL + path, { headers: { 'x-api-key': env.SITE_KEY }, signal: AbortSignal.timeout(Number(env.PAGE_TIMEOUT_MS)) });
  if (!response.ok) throw new Error(`GET ${path} responded with ${response.status} ${await response.text()}`);
  return response.json();
}

(async () => {
  console.log(stamp(), 'INFO crawl of', env.SITE_URL, 'depth', env.DEPTH);
  const index = await load('/index');
  const wanted = index.pages.slice(0, parseInt(env.DEPTH, 10));
  if (wanted.length === 0) throw new Error('DEPTH selects no pages');
  const pages = [];
  for (const name of wanted) pages.push(normalise(await load('/' + name)));
  const seen = JSON.parse(fs.readFileSync('state/seen.json', 'utf8'));
  for (const page of pages) seen[page.slug] = page.words;
  fs.writeFileSync('state/seen.json', JSON.stringify(seen));
  console.log(stamp(), 'INFO', pages.length, 'pages,', Object.keys(seen).length, 'known');
})().catch((error) => {
  console.error(stamp(), 'ERROR crawl failed:', error);
  process.exit(1);
});
""",
        "pages.js": """
exports.normalise = (page) => {
  const words = page.body.split(/\\s+/).length;
  return { slug: page.title.toLowerCase().replace(/\\W+/g, '-'), words };
};
""",
        ".env": "SITE_URL=http://127.0.0.1:@PORT@\nSITE_KEY=k-41\nPAGE_TIMEOUT_MS=1500\nDEPTH=2\n",
        "state/seen.json": "{}",
    },
    ("node", "crawl.js"),
    (
        Fault(CFG, "url-scheme", lambda w: w.swap(".env", "http://", "htp://")),
        Fault(CFG, "wrong-port", lambda w: w.swap(".env", "127.0.0.1:", "127.0.0.1:1")),
        Fault(CFG, "depth-zero", lambda w: w.swap(".env", "DEPTH=2", "DEPTH=none")),
        Fault(COR, "state-cut", lambda w: w.cut("state/seen.json", 0.5)),
        Fault(
            COR,
            "state-garbled",
            lambda w: w.write("state/seen.json", b"\x00\x00" + w.bytes("state/seen.json")[2:]),
        ),
        Fault(
            DRF,
            "index-shape",
            lambda w: w.service.routes.update(routes_json(index={"items": [{"name": "a"}]})),
        ),
        Fault(DRF, "key-revoked", lambda w: setattr(w.service, "mood", (401, '{"error":"unknown key"}'))),
        Fault(
            DRF,
            "module-moved",
            lambda w: (os.makedirs(w.root / "lib"), os.rename(w.root / "pages.js", w.root / "lib/pages.js")),
        ),
        Fault(EXT, "down", lambda w: w.service.down()),
        Fault(EXT, "slow", lambda w: setattr(w.service, "mood", "slow")),
        Fault(EXT, "http-500", lambda w: setattr(w.service, "mood", (500, "oops"))),
        Fault(EXT, "reset", lambda w: setattr(w.service, "mood", "reset")),
        Fault(EXT, "login-page", lambda w: setattr(w.service, "mood", "garbage")),
        Fault(EXT, "limited", lambda w: setattr(w.service, "mood", (429, "Too Many Requests"))),
        Fault(
            LOG,
            "wrong-property",
            lambda w: w.swap("pages.js", "page.title.toLowerCase", "page.heading.toLowerCase"),
        ),
        Fault(
            LOG,
            "await-forgotten",
            lambda w: w.swap("crawl.js", "const index = await load", "const index = load"),
        ),
        Fault(RES, "file-limit", lambda w: w.limit(resource.RLIMIT_FSIZE, 2)),
    ),
    routes=routes_json(
        index={"pages": ["a", "b", "c"]},
        a={"title": "Page A", "body": "one two"},
        b={"title": "Page B", "body": "x y z"},
        c={"title": "C", "body": "q"},
    ),
    log="crawl.log",
    append=True,
)

# --- etl: shell, sqlite3, awk -------------------------------------------------------------------------------

etl = Program(
    "etl",
    {
        "run.sh": """#!/usr/bin/env bash
set -euo pipefail
source conf/etl.conf
say() { printf '%s [etl] %s\\n' "$(date '+%F %T')" "$*"; }
say "loading $INBOX into $DATABASE"
for file in "$INBOX"/*.csv; do
  awk -F, -v max="$MAX_AMOUNT" -f lib/check.awk "$file"
done
sqlite3 -bail "$DATABASE" < sql/load.sql
sqlite3 -bail -csv "$DATABASE" < sql/report.sql > "$REPORT"
lines=$(wc -l < "$REPORT")
test "$lines" -ge "$MIN_LINES" || { say "FATAL report has only $lines lines, wanted $MIN_LINES"; exit 4; }
say "report with $lines lines"
""",
        "lib/check.awk": """
NF != 3 { printf "%s:%d: malformed row with %d fields\\n", FILENAME, FNR, NF > "/dev/stderr"; bad = 1 }
FNR > 1 && $3 !~ /^[0-9]+(\\.[0-9]+)?$/ { printf "%s:%d: amount is not a number: %s\\n", FILENAME, FNR, $3 > "/dev/stderr"; bad = 1 }
FNR > 1 && $3 > max { printf "%s:%d: amount %s above MAX_AMOUNT %s\\n", FILENAME, FNR, $3, max > "/dev/stderr"; bad = 1 }
FNR == 1 && $0 != "day,shop,amount" { printf "%s: unexpected header %s\\n", FILENAME, $0 > "/dev/stderr"; bad = 1 }
END { exit bad }
""",
        "sql/load.sql": "create table if not exists sales (day text, shop text, amount real);\ndelete from sales;\n.mode csv\n.import --skip 1 inbox/a.csv sales\n.import --skip 1 inbox/b.csv sales\n",
        "sql/report.sql": "select shop, sum(amount), count(*) from sales group by shop order by 2 desc;\n",
        "conf/etl.conf": "INBOX=inbox\nDATABASE=db/sales.sqlite\nREPORT=reports/latest.csv\nMAX_AMOUNT=500\nMIN_LINES=3\n",
        "inbox/a.csv": "day,shop,amount\n"
        + "".join(f"2024-03-{1 + i % 28:02d},s{i % 5},{i + 0.5}\n" for i in range(80)),
        "inbox/b.csv": "day,shop,amount\n"
        + "".join(f"2024-04-{1 + i % 28:02d},s{i % 4},{i * 2}\n" for i in range(80)),
        "db/.keep": "",
        "reports/.keep": "",
    },
    ("bash", "run.sh"),
    (
        Fault(CFG, "max-too-low", lambda w: w.swap("conf/etl.conf", "MAX_AMOUNT=500", "MAX_AMOUNT=50")),
        Fault(
            CFG,
            "database-folder",
            lambda w: w.swap("conf/etl.conf", "db/sales.sqlite", "database/sales.sqlite"),
        ),
        Fault(CFG, "variable-removed", lambda w: w.swap("conf/etl.conf", "REPORT=reports/latest.csv\n", "")),
        Fault(COR, "database-garbled", lambda w: w.write("db/sales.sqlite", b"garbage here " * 400)),
        Fault(COR, "row-cut", lambda w: w.cut("inbox/b.csv", 0.515)),
        Fault(COR, "amounts-garbled", lambda w: w.swap("inbox/a.csv", ",s3,13.5", ",s3,1\x0b3.\x7f5")),
        Fault(DRF, "header-renamed", lambda w: w.swap("inbox/a.csv", "day,shop,amount", "date,shop,total")),
        Fault(DRF, "table-renamed", _rename_table),
        Fault(DRF, "file-deleted", lambda w: os.remove(w.root / "lib/check.awk")),
        Fault(LOG, "bad-column", lambda w: w.swap("sql/report.sql", "sum(amount)", "sum(amonut)")),
        Fault(LOG, "operator-typo", lambda w: w.swap("run.sh", '"$lines" -ge', '"$lines" -gee')),
        Fault(LOG, "unset-variable", lambda w: w.swap("run.sh", "loading $INBOX", "loading $INBOXES")),
        Fault(RES, "database-limit", lambda w: w.limit(resource.RLIMIT_FSIZE, 4096)),
    ),
    log="etl.log",
    append=True,
)


# --- fit: Python, gzip and pickle inputs, TOML, threads, own log with another time format --------------------


def _fit_setup(world: World) -> None:
    rows = [[i % 7, (i * 3) % 11, 2 * (i % 7) + 3 * ((i * 3) % 11) + 1] for i in range(200)]
    world.write("data/train.json.gz", gzip.compress(json.dumps(rows).encode(), mtime=0))
    world.write("models/start.pkl", pickle.dumps({"version": 3, "weights": [0.1, 0.1, 0.0]}))


fit = Program(
    "fit",
    {
        "fit/__main__.py": """
import gzip, json, logging, os, pickle, sys, tomllib
from concurrent.futures import ThreadPoolExecutor
from fit import model

def setup(path):
    logging.basicConfig(filename=path, level=logging.DEBUG, datefmt="%d/%b/%Y:%H:%M:%S +0000",
                        format="[%(asctime)s] %(levelname)s %(threadName)s %(message)s")

def run(cfg):
    with gzip.open(cfg["data"]["train"]) as f:
        rows = json.load(f)
    with open(cfg["model"]["start"], "rb") as f:
        start = pickle.load(f)
    model.check(start)
    logging.info("training on %d rows", len(rows))
    size = cfg["train"]["batch"]
    batches = [rows[i:i + size] for i in range(0, len(rows), size)]
    weights = start["weights"]
    with ThreadPoolExecutor(cfg["train"]["threads"]) as pool:
        for epoch in range(cfg["train"]["epochs"]):
            steps = list(pool.map(lambda b: model.gradient(weights, b), batches))
            weights = model.update(weights, steps, cfg["train"]["rate"])
        loss = model.loss(weights, rows)
    logging.info("loss %.4f", loss)
    if not loss < cfg["train"]["max_loss"]:
        raise RuntimeError(f"training diverged: loss is {loss}")
    with open(cfg["model"]["out"], "wb") as f:
        pickle.dump({"version": 3, "weights": weights, "trace": [[x] * 40 for x in weights]}, f)

if __name__ == "__main__":
    cfg = tomllib.load(open("fit.toml", "rb"))
    setup("logs/fit.log")
    try:
        run(cfg)
    except BaseException as error:
        logging.critical("fit stopped", exc_info=error)
        sys.exit(1)
""",
        "fit/__init__.py": "",
        "fit/model.py": """
def check(start):
    if start["version"] != 3:
        raise RuntimeError(f"model file has version {start['version']}, this code needs version 3")

def predict(weights, row):
    return weights[0] * row[0] + weights[1] * row[1] + weights[2]

def gradient(weights, batch):
    total = [0.0, 0.0, 0.0]
    for row in batch:
        error = predict(weights, row) - row[2]
        for k, x in enumerate((row[0], row[1], 1.0)):
            total[k] += 2 * error * x / len(batch)
    return total

def update(weights, steps, rate):
    return [w - rate * sum(step[k] for step in steps) / len(steps) for k, w in enumerate(weights)]

def loss(weights, rows):
    return sum((predict(weights, row) - row[2]) ** 2 for row in rows) / len(rows)
""",
        "fit.toml": '[data]\ntrain = "data/train.json.gz"\n\n[model]\nstart = "models/start.pkl"\nout = "out/model.pkl"\n\n[train]\nbatch = 20\nepochs = 60\nrate = 0.005\nthreads = 2\nmax_loss = 30.0\n',
        "out/.keep": "",
        "logs/.keep": "",
    },
    (PY, "-m", "fit"),
    (
        Fault(CFG, "rate-too-high", lambda w: w.swap("fit.toml", "rate = 0.005", "rate = 5.0")),
        Fault(CFG, "threads-zero", lambda w: w.swap("fit.toml", "threads = 2", "threads = 0")),
        Fault(CFG, "batch-as-text", lambda w: w.swap("fit.toml", "batch = 20", 'batch = "20"')),
        Fault(CFG, "broken-toml", lambda w: w.swap("fit.toml", "epochs = 60", "epochs == 60")),
        Fault(COR, "gzip-cut", lambda w: w.cut("data/train.json.gz", 0.7)),
        Fault(
            COR,
            "pickle-garbled",
            lambda w: w.write("models/start.pkl", b"\xff\xfe" + w.bytes("models/start.pkl")[2:]),
        ),
        Fault(
            COR,
            "gzip-bit-flip",
            lambda w: w.write(
                "data/train.json.gz",
                w.bytes("data/train.json.gz")[:150] + b"\x55\xaa" + w.bytes("data/train.json.gz")[152:],
            ),
        ),
        Fault(
            DRF,
            "model-version",
            lambda w: w.write("models/start.pkl", pickle.dumps({"version": 4, "weights": [0.1, 0.1, 0.0]})),
        ),
        Fault(
            DRF,
            "model-moved",
            lambda w: os.rename(w.root / "models/start.pkl", w.root / "models/start-v3.pkl"),
        ),
        Fault(LOG, "index", lambda w: w.swap("fit/model.py", "weights[2]", "weights[3]")),
        Fault(LOG, "sign", lambda w: w.swap("fit/model.py", "w - rate", "w + rate")),
        Fault(
            LOG,
            "name",
            lambda w: w.swap(
                "fit/model.py", "for row in rows) / len(rows)", "for row in rows) / len(row_list)"
            ),
        ),
        Fault(
            RES,
            "memory",
            lambda w: (
                w.write("data/train.json.gz", gzip.compress(json.dumps([[1, 2, 3]] * 2000000).encode())),
                w.limit(resource.RLIMIT_AS, 260 << 20),
            ),
        ),
        Fault(
            RES,
            "cpu",
            lambda w: (
                w.write("data/train.json.gz", gzip.compress(json.dumps([[1, 2, 3]] * 300000).encode())),
                w.limit(resource.RLIMIT_CPU, 2),
            ),
        ),
        Fault(RES, "file-limit", lambda w: w.limit(resource.RLIMIT_FSIZE, 150)),
    ),
    setup=_fit_setup,
    log="logs/stdout.log",
)

# --- agent: Python loop with tools against a model service --------------------------------------------------

agent = Program(
    "agent",
    {
        "agent.py": """
import json, sys, time, urllib.error, urllib.request
import tools

CONFIG = json.load(open("agent.json"))

def ask(messages):
    body = json.dumps({"model": CONFIG["model"], "messages": messages}).encode()
    request = urllib.request.Request(CONFIG["endpoint"] + "/v1/messages", body, {"x-api-key": open(CONFIG["key_file"]).read().strip()})
    try:
        with urllib.request.urlopen(request, timeout=CONFIG["timeout_s"]) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        raise SystemExit(f"[agent] model call failed with HTTP {error.code}: {error.read().decode()[:300]}")

def main():
    memory = [json.loads(line) for line in open("memory.jsonl")]
    messages = [{"role": m["role"], "content": m["text"]} for m in memory]
    for step in range(CONFIG["max_steps"]):
        reply = ask(messages)
        print(f"[agent] step {step}: {reply['action']} {reply['args']}")
        if reply["action"] == "finish":
            print("[agent] finished")
            return
        result = getattr(tools, "tool_" + reply["action"])(**reply["args"])
        messages.append({"role": "tool", "content": str(result)})
    raise SystemExit(f"[agent] max steps reached ({CONFIG['max_steps']}) without an answer")

main()
""",
        "tools.py": """
import subprocess

def tool_count(path):
    with open(path) as f:
        return len(f.read().split())

def tool_head(path, lines):
    return "".join(open(path).readlines()[:lines])
""",
        "agent.json": json.dumps(
            {
                "endpoint": "http://127.0.0.1:@PORT@",
                "model": "small-1",
                "key_file": "api.key",
                "timeout_s": 1.5,
                "max_steps": 6,
            },
            indent=1,
        ),
        "api.key": "sk-local-7\n",
        "memory.jsonl": "".join(json.dumps({"role": "user", "text": f"note {i}"}) + "\n" for i in range(12)),
        "workspace/notes.txt": "some words to count\nand more\n",
    },
    (PY, "agent.py"),
    (
        Fault(
            CFG,
            "model-name",
            lambda w: (
                w.swap("agent.json", "small-1", "smal-1"),
                setattr(
                    w.service,
                    "mood",
                    (404, '{"type":"error","error":{"type":"not_found_error","message":"model: smal-1"}}'),
                ),
            ),
        ),
        Fault(
            CFG,
            "key-replaced",
            lambda w: (
                w.swap("agent.json", '"api.key"', '"old.key"'),
                w.write("old.key", "sk-x\n"),
                setattr(
                    w.service,
                    "mood",
                    (401, '{"error":{"type":"authentication_error","message":"invalid x-api-key"}}'),
                ),
            ),
        ),
        Fault(CFG, "endpoint", lambda w: w.swap("agent.json", "127.0.0.1", "model.invalid")),
        Fault(COR, "memory-cut", lambda w: w.cut("memory.jsonl", 0.93)),
        Fault(
            COR,
            "memory-interleaved",
            lambda w: w.swap(
                "memory.jsonl",
                '{"role": "user", "text": "note 4"}',
                '{"role": "us{"role": "user", "text": "note 4"}er',
            ),
        ),
        Fault(
            DRF,
            "reply-shape",
            lambda w: w.service.routes.update(
                routes_json(v1__messages={"content": [{"type": "tool_use", "name": "finish"}]})
            ),
        ),
        Fault(
            DRF,
            "memory-keys",
            lambda w: w.write("memory.jsonl", w.read("memory.jsonl").replace('"text"', '"content"')),
        ),
        Fault(
            DRF,
            "key-expired",
            lambda w: setattr(
                w.service,
                "mood",
                (401, '{"error":{"type":"authentication_error","message":"API key expired"}}'),
            ),
        ),
        Fault(
            EXT,
            "overloaded",
            lambda w: setattr(
                w.service,
                "mood",
                (529, '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'),
            ),
        ),
        Fault(
            EXT,
            "rate-limit",
            lambda w: setattr(
                w.service,
                "mood",
                (
                    429,
                    '{"type":"error","error":{"type":"rate_limit_error","message":"Number of requests has exceeded your rate limit"}}',
                ),
            ),
        ),
        Fault(EXT, "down", lambda w: w.service.down()),
        Fault(EXT, "cut-off", lambda w: setattr(w.service, "mood", "short")),
        Fault(
            LOG,
            "tool-signature",
            lambda w: w.swap("tools.py", "def tool_count(path):", "def tool_count(file):"),
        ),
        Fault(
            LOG, "tool-bug", lambda w: w.swap("tools.py", "len(f.read().split())", "len(f.read().splitt())")
        ),
        Fault(
            RES,
            "context",
            lambda w: setattr(
                w.service,
                "mood",
                (
                    400,
                    '{"error":{"type":"invalid_request_error","message":"prompt is too long: 212003 tokens > 200000 maximum"}}',
                ),
            ),
        ),
        Fault(
            RES,
            "quota",
            lambda w: setattr(
                w.service,
                "mood",
                (
                    429,
                    '{"error":{"code":"insufficient_quota","message":"You exceeded your current quota, please check your plan and billing details"}}',
                ),
            ),
        ),
        Fault(
            RES,
            "steps",
            lambda w: w.service.routes.update(
                routes_json(v1__messages={"action": "count", "args": {"path": "workspace/notes.txt"}})
            ),
        ),
    ),
    routes={
        "/v1/messages": lambda: (
            200,
            "application/json",
            json.dumps(
                {
                    "action": "finish" if _turn() else "count",
                    "args": {} if _TURNS[0] % 2 == 0 else {"path": "workspace/notes.txt"},
                }
            ).encode(),
        )
    },
    log="agent.log",
    append=True,
)
_TURNS = [0]


def _turn() -> bool:
    """Every second answer finishes."""
    _TURNS[0] += 1
    return _TURNS[0] % 2 == 0


# --- checks: Python unittest package with XML input and an expected output -----------------------------------

XML = (
    "<catalog>\n"
    + "".join(
        f'  <book id="b{i}" year="{1990 + i % 30}"><title>Book {i}</title><price>{5 + i % 9}.50</price></book>\n'
        for i in range(40)
    )
    + "</catalog>\n"
)

checks = Program(
    "checks",
    {
        "catalog/__init__.py": "",
        "catalog/load.py": """
import xml.etree.ElementTree as ET

def books(path):
    for node in ET.parse(path).getroot():
        yield {"id": node.attrib["id"], "year": int(node.attrib["year"]), "title": node.findtext("title"), "price": float(node.find("price").text)}
""",
        "catalog/stats.py": """
from collections import Counter

def decades(books):
    return dict(sorted(Counter(book["year"] // 10 * 10 for book in books).items()))

def cheapest(books, count):
    return [book["id"] for book in sorted(books, key=lambda b: (b["price"], b["id"]))[:count]]

def average(books):
    prices = [book["price"] for book in books]
    return round(sum(prices) / len(prices), 2)
""",
        "catalog/render.py": """
import configparser, slugs
from catalog import load, stats

def page(config_path="catalog.cfg"):
    config = configparser.ConfigParser()
    with open(config_path) as f:
        config.read_file(f)
    rows = [b for b in load.books(config["input"]["file"]) if b["year"] >= config.getint("filter", "from_year")]
    lines = [f"average {stats.average(rows)}", f"decades {stats.decades(rows)}"]
    lines += [slugs.slug(b["title"]) for b in rows if b["id"] in stats.cheapest(rows, config.getint("filter", "cheapest"))]
    return "\\n".join(lines) + "\\n"
""",
        "vendor/slugs.py": "def slug(text):\n    return text.lower().replace(' ', '-')\n",
        "tests/test_catalog.py": """
import unittest
from catalog import load, render, stats

class CatalogTest(unittest.TestCase):
    def test_books(self):
        self.assertEqual(len(list(load.books("data/catalog.xml"))), 40)

    def test_average(self):
        self.assertAlmostEqual(stats.average(list(load.books("data/catalog.xml"))), 9.25, places=2)

    def test_cheapest(self):
        self.assertEqual(stats.cheapest(list(load.books("data/catalog.xml")), 2), ["b0", "b18"])

    def test_page(self):
        with open("expected/page.txt") as f:
            self.assertEqual(render.page(), f.read())
""",
        "catalog.cfg": "[input]\nfile = data/catalog.xml\n\n[filter]\nfrom_year = 1995\ncheapest = 3\n",
        "data/catalog.xml": XML,
        "expected/.keep": "",
    },
    (PY, "-m", "unittest", "-v", "tests.test_catalog"),
    (
        Fault(
            CFG, "year-is-text", lambda w: w.swap("catalog.cfg", "from_year = 1995", "from_year = nineties")
        ),
        Fault(CFG, "section-renamed", lambda w: w.swap("catalog.cfg", "[filter]", "[filters]")),
        Fault(
            CFG, "filters-everything", lambda w: w.swap("catalog.cfg", "from_year = 1995", "from_year = 3000")
        ),
        Fault(COR, "xml-cut", lambda w: w.cut("data/catalog.xml", 0.8)),
        Fault(
            COR,
            "entity-garbled",
            lambda w: w.swap("data/catalog.xml", "<title>Book 7</title>", "<title>Book & 7</ti\x01tle>"),
        ),
        Fault(
            COR,
            "price-garbled",
            lambda w: w.swap(
                "data/catalog.xml", "<title>Book 9</title><price>5.50", "<title>Book 9</title><price>5.5O"
            ),
        ),
        Fault(
            DRF,
            "vendored-signature",
            lambda w: w.write(
                "vendor/slugs.py", "def slug(text, *, locale):\n    return text.lower().replace(' ', '-')\n"
            ),
        ),
        Fault(
            DRF,
            "attribute-renamed",
            lambda w: w.write("data/catalog.xml", w.read("data/catalog.xml").replace("year=", "published=")),
        ),
        Fault(DRF, "expected-output-changed", lambda w: w.swap("expected/page.txt", "average", "mean")),
        Fault(LOG, "rounding", lambda w: w.swap("catalog/stats.py", "/ len(prices)", "// len(prices)")),
        Fault(
            LOG,
            "order",
            lambda w: w.swap("catalog/stats.py", '(b["price"], b["id"])', '(-b["price"], b["id"])'),
        ),
        Fault(
            LOG,
            "missing-import",
            lambda w: w.swap(
                "catalog/stats.py", "from collections import Counter", "from collections import deque"
            ),
        ),
        Fault(
            LOG, "colon-missing", lambda w: w.swap("catalog/load.py", "def books(path):", "def books(path)")
        ),
        Fault(RES, "handles", lambda w: w.limit(resource.RLIMIT_NOFILE, 4)),
        Fault(
            RES,
            "cpu",
            lambda w: (
                w.write("data/catalog.xml", "<catalog>\n" + XML[10:-11] * 6000 + "</catalog>\n"),
                w.limit(resource.RLIMIT_CPU, 1),
            ),
        ),
    ),
    setup=lambda w: (w.env.update(PYTHONPATH="vendor"), _expected(w)),
    log="test.log",
)


def _expected(world: World) -> None:
    done = subprocess.run(
        [PY, "-c", "from catalog import render; open('expected/page.txt', 'w').write(render.page())"],
        cwd=world.root,
        env=world.env,
        check=True,
    )
    assert done.returncode == 0
    time.sleep(0.01)


PROGRAMS = (tiles, crawl, etl, fit, agent, checks)

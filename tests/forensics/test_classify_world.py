# Log lines are quoted whole.
# ruff: noqa: E501
"""Failures of programs of many kinds, in their own words, with what changed around them."""

from __future__ import annotations

import pytest
from support.cause_cases import cause_case

from casreplay.forensics.classify import classify
from casreplay.forensics.signals import load_rules
from casreplay.model.causes import KeyChange

RULES = load_rules()
CFG, COR, DRF = "config_error", "data_corruption", "drift"
EXT, LOG, RES = "external_failure", "logic_error", "resource_exhaustion"

CODE = {b"src/app.py": (b"x = 1\n", b"x = 2\n")}
JS = {b"src/app.js": (b"x = 1\n", b"x = 2\n")}
GO = {b"cmd/main.go": (b"package main\n", b"package main // 2\nfunc f() {}\n")}
RUST = {b"src/main.rs": (b"fn main() {}\n", b"fn main() { f() }\n")}
JAVA = {b"src/main/java/App.java": (b"class App {}\n", b"class App { int x; }\n")}
RUBY = {b"app/models/user.rb": (b"class User\nend\n", b"class User\n  x\nend\n")}
LOCK = {b"package-lock.json": (b'{"a": 1}', b'{"a": 2}'), b"package.json": (b'{"d": "1"}', b'{"d": "2"}')}
PYLOCK = {b"poetry.lock": (b"a = 1\n", b"a = 2\n")}
YAML = {b"config/settings.yaml": (b"db:\n  host: a\n", b"db:\n  host: b\n")}
HOST = (KeyChange(b"config/settings.yaml", "db.host", "changed", "a", "b", 2),)
INI = {b"app.ini": (b"[pool]\nsize=5\n", b"[pool]\nsize=five\n")}
SIZE = (KeyChange(b"app.ini", "pool.size", "changed", "5", "five", 2),)
JSONL = {b"data/in.jsonl": (b'{"a": 1}\n{"a": 2}\n{"a": 3}\n', b'{"a": 1}\n{"a": 2}\n{"a"')}
CSV = {b"data/in.csv": (b"id,qty\n1,2\n2,3\n3,4\n4,5\n", b"id,qty\n1,2\n2,#\n3,4\n4,5\n")}
SHAPE = {b"data/in.csv": (b"id,qty\n1,2\n2,3\n3,4\n4,5\n", b"id,quantity\n1,2\n2,3\n3,4\n4,5\n")}
ARCHIVE = {b"data/in.bin": (b"\x1f\x8b\x08" + b"\x01" * 90, b"\x00\x00\x08" + b"\x01" * 90)}
TRACE = 'Traceback (most recent call last):\n  File "/srv/src/app.py", line 12, in handle\n    go()\n'

CASES = [
    # databases and services
    (EXT, {}, (), 'django.db.utils.OperationalError: could not connect to server: Connection refused\n\tIs the server running on host "db" and accepting TCP/IP connections on port 5432?'),
    (CFG, YAML, HOST, 'django.db.utils.OperationalError: could not translate host name "b" to address: Name or service not known'),
    (EXT, CODE, (), TRACE + "requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='api.stripe.com', port=443): Read timed out. (read timeout=10)"),
    (EXT, {}, (), '[Mon 10:00] E1101 rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing dial tcp 10.2.0.4:443: connect: connection refused"'),
    (EXT, {}, (), "redis.exceptions.ConnectionError: Error 111 connecting to cache:6379. Connection refused."),
    (EXT, GO, (), '2024/05/01 10:00:00 fetch rates: Get "https://rates.example.com/v1": net/http: TLS handshake timeout'),
    (EXT, {}, (), "Faraday::ConnectionFailed: Failed to open TCP connection to hooks.example.com:443 (getaddrinfo: Name or service not known)"),
    (EXT, {}, (), "smtplib.SMTPServerDisconnected: Connection unexpectedly closed"),
    (EXT, {}, (), 'botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL: "https://s3.eu.example.com/"'),
    (EXT, {}, (), "kafka.errors.NoBrokersAvailable: NoBrokersAvailable"),
    (EXT, {}, (), "ERROR payment gateway returned HTTP 503 after 3 attempts"),
    (EXT, {}, (), "error: failed to push some refs: The remote end hung up unexpectedly"),
    (EXT, {}, (), "openai.APIConnectionError: Connection error."),
    (EXT, {}, (), "anthropic.InternalServerError: Error code: 529 - {'type': 'error', 'error': {'type': 'overloaded_error', 'message': 'Overloaded'}}"),
    (EXT, JS, (), "FetchError: request to https://registry.example.com/x failed, reason: connect ETIMEDOUT 10.0.0.9:443\n    at ClientRequest.<anonymous> (/app/node_modules/node-fetch/lib/index.js:1505:11)"),
    (EXT, {}, (), "AxiosError: Request failed with status code 502\n    at settle (/app/node_modules/axios/lib/core/settle.js:19:12)"),
    (EXT, {}, (), "weather feed unavailable: upstream answered 504 Gateway Timeout"),
    # resources
    (RES, {}, (), "java.lang.OutOfMemoryError: Java heap space\n\tat java.base/java.util.Arrays.copyOf(Arrays.java:3512)"),
    (RES, CODE, (), TRACE + "OSError: [Errno 28] No space left on device"),
    (RES, {}, (), "runtime: out of memory: cannot allocate 8589934592-byte block\nfatal error: runtime: out of memory"),
    (RES, {}, (), "<--- Last few GCs --->\nFATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory"),
    (RES, {}, (), "accept4(): Too many open files"),
    (RES, {}, (), "psycopg2.OperationalError: FATAL:  remaining connection slots are reserved for non-replication superuser connections"),
    (RES, {}, (), "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00"),
    (RES, {}, (), "memory allocation of 68719476736 bytes failed\nAborted (core dumped)"),
    (RES, {}, (), "run.sh: line 7: 2212 Killed                  python train.py"),
    (RES, {}, (), "ERROR worker 3: memory limit exceeded (512 MB)"),
    (RES, {}, (), "openai.RateLimitError: Error code: 429 - {'error': {'message': 'You exceeded your current quota, please check your plan and billing details.', 'code': 'insufficient_quota'}}"),
    (RES, {}, (), "This model's maximum context length is 128000 tokens. However, your messages resulted in 130122 tokens."),
    (RES, {}, (), "tar: backup.tar: Wrote only 4096 of 10240 bytes\ntar: Error is not recoverable: exiting now\ncp: error writing 'x': No space left on device"),
    (RES, {}, (), "fork: retry: Resource temporarily unavailable"),
    # configuration
    (CFG, INI, SIZE, TRACE + "ValueError: invalid literal for int() with base 10: 'five'"),
    (CFG, {}, (), 'pydantic_settings.exceptions.SettingsError: error parsing value for field "workers" from source "EnvSettingsSource"'),
    (CFG, YAML, HOST, "Error: config/settings.yaml: db.host must be a fully qualified name"),
    (CFG, {}, (), "django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty."),
    (CFG, YAML, HOST, "KeyError: 'host'"),
    (CFG, {b".env": (b"A_KEY=1\nPORT=1\n", b"PORT=1\n")}, (KeyChange(b".env", "A_KEY", "removed", "1", ""),), "Error: Missing required environment variable A_KEY"),
    (CFG, {b"nginx.conf": (b"listen 80;\n", b"lissten 80;\n")}, (), 'nginx: [emerg] unknown directive "lissten" in nginx.conf:1'),
    (CFG, {b"config.json": (b'{"mode": "fast"}\n', b'{"mode": "fasst"}\n')}, (KeyChange(b"config.json", "mode", "changed", "fast", "fasst", 1),), 'panic: unknown mode "fasst"\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:10 +0x1'),
    (CFG, {b"application.yml": (b"server:\n  port: 1\n", b"server:\n port: 1\n  x: 2\n")}, (), "Caused by: org.yaml.snakeyaml.scanner.ScannerException: mapping values are not allowed here"),
    (CFG, {b"config.toml": (b"depth = 3\n", b"depth = -1\n")}, (KeyChange(b"config.toml", "depth", "changed", "3", "-1", 1),), "thread 'main' panicked at src/walk.rs:9:5:\nattempt to subtract with overflow"),
    (CFG, {b"job.properties": (b"input=/data/a\n", b"input=/data/zz\n")}, (KeyChange(b"job.properties", "input", "changed", "/data/a", "/data/zz", 1),), "java.io.FileNotFoundException: /data/zz (No such file or directory)\n\tat java.io.FileInputStream.open0(Native Method)"),
    # data
    (COR, JSONL, (), "Error: Unexpected end of JSON input\n    at JSON.parse (<anonymous>)\n    at load (/app/src/load.js:3:4)"),
    (COR, CSV, (), TRACE + "ValueError: could not convert string to float: '#'"),
    (COR, ARCHIVE, (), "gzip: data/in.bin: not in gzip format"),
    (COR, ARCHIVE, (), "panic: gzip: invalid header\n\ngoroutine 1 [running]:\nmain.main()"),
    (COR, {b"store.db": (b"SQLite format 3\0" + b"a" * 5000, b"SQLite format 3\0" + b"a" * 900)}, (), "Error: database disk image is malformed"),
    (COR, {}, (), "error: object file .git/objects/4b/825dc is empty\nfatal: loose object 4b825dc is corrupt"),
    (COR, {b"data/a.parquet": (b"PAR1" + b"x" * 50 + b"PAR1", b"PAR1" + b"x" * 20)}, (), "pyarrow.lib.ArrowInvalid: Parquet magic bytes not found in footer."),
    (COR, {b"data/m.xml": (b"<a><b/></a>\n", b"<a><b/>")}, (), "xml.etree.ElementTree.ParseError: no element found: line 1, column 7"),
    (COR, {b"models/m.pt": (bytes(range(256)) * 4, bytes(range(256)) * 2)}, (), TRACE + "RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory"),
    (COR, {b"img/a.png": (b"\x89PNG\r\n\x1a\n" + b"1" * 90, b"\x89PNG\r\n\x1a\n" + b"1" * 30)}, (), "PIL.UnidentifiedImageError: cannot identify image file 'img/a.png'"),
    (COR, {}, (), "ERROR chunk 17: checksum mismatch, expected 9fd1 but computed 00aa"),
    # drift
    (DRF, LOCK, (), "TypeError: chalk.red is not a function\n    at Object.<anonymous> (/app/src/cli.js:4:7)"),
    (DRF, PYLOCK, (), TRACE + "TypeError: __init__() got an unexpected keyword argument 'proxies'"),
    (DRF, PYLOCK, (), "ImportError: cannot import name 'soft_unicode' from 'markupsafe'"),
    (DRF, SHAPE, (), TRACE + "KeyError: 'qty'"),
    (DRF, {}, (), "deploy.sh: line 4: terraform: command not found"),
    (DRF, {}, (), "ModuleNotFoundError: No module named 'distutils'"),
    (DRF, {b"templates/mail.html": (b"<p>x</p>\n", None)}, (), "jinja2.exceptions.TemplateNotFound: mail.html"),
    (DRF, {b"db/migrate/0007_x.sql": (None, b"alter table users drop column email;\n")}, (), "ActiveRecord::StatementInvalid: PG::UndefinedColumn: ERROR:  column users.email does not exist"),
    (DRF, {}, (), "urllib.error.HTTPError: HTTP Error 401: Unauthorized"),
    (EXT, {}, (), "ssl.SSLCertVerificationError: certificate verify failed: certificate has expired (_ssl.c:997)"),
    (DRF, {b"pom.xml": (b"<v>1</v>", b"<v>2</v>")}, (), "[ERROR] COMPILATION ERROR :\n[ERROR] /b/src/A.java:[3,9] cannot find symbol"),
    (DRF, {b"Dockerfile": (b"FROM python:3.11\n", b"FROM python:3.13\n")}, (), "AttributeError: module 'inspect' has no attribute 'getargspec'"),
    (DRF, {}, (), "error: failed to select a version for `time`. package requires rustc 1.80"),
    (DRF, {b"lib/helpers.rb": (b"def x; end\n", None)}, (), "app.rb:1:in `require_relative': cannot load such file -- /app/lib/helpers (LoadError)"),
    # code
    (LOG, CODE, (), TRACE + "ZeroDivisionError: division by zero"),
    (LOG, JS, (), "/app/src/app.js:9\n  return a.b.c;\n         ^\n\nTypeError: Cannot read properties of undefined (reading 'b')\n    at f (/app/src/app.js:9:12)"),
    (LOG, GO, (), "panic: runtime error: invalid memory address or nil pointer dereference\n\ngoroutine 1 [running]:\nmain.main()\n\t/w/cmd/main.go:7"),
    (LOG, RUST, (), "error[E0382]: borrow of moved value: `x`\n --> src/main.rs:4:20"),
    (LOG, JAVA, (), 'Exception in thread "main" java.lang.NullPointerException: Cannot invoke "String.length()" because "s" is null\n\tat App.main(App.java:5)'),
    (LOG, RUBY, (), "app/models/user.rb:3:in `name': undefined method `upcase' for nil (NoMethodError)\n\tfrom app.rb:9:in `<main>'"),
    (LOG, CODE, (), "=== FAILURES ===\nE       assert 3 == 4\nFAILED tests/test_app.py::test_total - assert 3 == 4\n1 failed, 9 passed in 0.31s"),
    (LOG, CODE, (), '  File "/srv/src/app.py", line 9\n    def f(:\n          ^\nSyntaxError: invalid syntax'),
    (LOG, {b"run.sh": (b"echo a\n", b"if true; then echo a\n")}, (), "run.sh: line 2: syntax error: unexpected end of file"),
    (LOG, CODE, (), "ERROR balance check: expected 100 but got 90"),
    (LOG, {b"src/a.c": (b"int x;\n", b"int x, y;\n")}, (), "==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x60\n    #0 0x4 in main src/a.c:9"),
    (LOG, {b"query.sql": (b"select a from t\n", b"select b from t\n")}, (), "sqlite3.OperationalError: no such column: b"),
]  # fmt: skip

STATE = {b"state.json": (b'{"runs": 3, "last": 17}', b'{"runs": 4, "last": 18}')}
NOISE = {b"README.md": (b"a\n", b"b\n"), b"tools/report.py": (b"a = 1\n", b"a = 2\n"), **STATE}
SETTINGS_PY = {
    b"shop/settings.py": (b"DEBUG = False\nCACHE_TTL = 30\n", b"DEBUG = False\nCACHE_TTL = 'soon'\n")
}
HANDLER = 'Traceback (most recent call last):\n  File "/srv/shop/views.py", line 12, in handle\n    go()\n'
VIEWS = {
    b"shop/views.py": (
        b"import requests\n\ndef handle():\n    go()\n",
        b"import requests\n\ndef handle():\n    go(1)\n",
    )
}

MIXED = [
    # a harmless edit beside the fault
    (EXT, {**NOISE}, (), "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='api.x.com', port=443): Max retries exceeded"),
    (CFG, {**NOISE, **SETTINGS_PY}, (), HANDLER + "TypeError: '>' not supported between instances of 'str' and 'int'"),
    (LOG, {**STATE, **VIEWS}, (), HANDLER + "TypeError: go() takes 0 positional arguments but 1 was given"),
    (DRF, {**STATE}, (), HANDLER + "KeyError: 'results'"),
    (COR, {**NOISE, **CSV}, (), HANDLER + "ValueError: could not convert string to float: '#'"),
    (RES, {**NOISE, **CSV}, (), "MemoryError"),
    (CFG, {**NOISE, b"app.json": (b'{"retries": 3, "mode": "fast"}', b'{"retries": "many", "mode": "fast"}')}, (KeyChange(b"app.json", "retries", "type", "3", '"many"', 1),), "TypeError: retries.toFixed is not a function\n    at start (/srv/server.js:3:9)"),
    (DRF, {**NOISE, **SHAPE}, (), "ERROR row 1: missing column qty"),
    (COR, {**STATE, b"users.json": (b'[{"id": 1}, {"id": 2}]', b'[{"id": 1}, {"i')}, (), "SyntaxError: Unterminated string in JSON at position 15\n    at JSON.parse (<anonymous>)\n    at load (/srv/server.js:3:9)"),
    (CFG, {b"app.json": (b'{"port": 1}\n', b'{"port": 1\n')}, (), "SyntaxError: Expected ',' or '}' after property value in JSON at position 11\n    at JSON.parse (<anonymous>)"),
    (DRF, {b"schema/order.json": (b'{"required": ["a"]}', b'{"required": ["a", "b"]}')}, (), "jsonschema.exceptions.ValidationError: 'b' is a required property"),
    (DRF, {b"tests/__snapshots__/a.snap": (b"a\n", b"b\n")}, (), "1 snapshot failed.\nError: expect(received).toMatchSnapshot()"),
    (DRF, {b"go.mod": (b"require x v1.0.0\n", b"require x v2.0.0\n"), b"go.sum": (b"a\n", b"b\n")}, (), "./main.go:9:4: undefined: x.Parse"),
    (DRF, {b".nvmrc": (b"18\n", b"22\n")}, (), "Error: error:0308010C:digital envelope routines::unsupported"),
    (DRF, {b"vendor/client/api.py": (b"def get(a): pass\n", b"def fetch(a): pass\n")}, (), "AttributeError: module 'client.api' has no attribute 'get'"),
    # the same words, another change set
    (LOG, {b"shop/views.py": (b"import os\n", b"import os\nimport jsonn\n")}, (), "ModuleNotFoundError: No module named 'jsonn'"),
    (DRF, {b"shop/util.py": (b"def f(): pass\n", None)}, (), "ModuleNotFoundError: No module named 'shop.util'"),
    (CFG, {b"etl.ini": (b"[in]\npath=a.csv\n", b"[in]\npath=b.csv\n")}, (KeyChange(b"etl.ini", "in.path", "changed", "a.csv", "b.csv", 2),), "cat: b.csv: No such file or directory"),
    (DRF, {b"a.csv": (b"x\n1\n", None)}, (), "cat: a.csv: No such file or directory"),
    (LOG, {b"run.sh": (b"cat a.csv\n", b"cat aa.csv\n")}, (), "cat: aa.csv: No such file or directory"),
    (CFG, {b".env": (b"TOKEN=abc\n", b"TOKEN=abx\n")}, (KeyChange(b".env", "TOKEN", "changed", "abc", "abx", 1),), "HTTP Error 403: Forbidden"),
    (DRF, {**NOISE}, (), "gh: Bad credentials (HTTP 401)"),
    (EXT, {**NOISE}, (), "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)\nERROR fetching https://api.example.com/v2/items gave no JSON"),
    (CFG, {b"svc.yml": (b"timeout_ms: 5000\n", b"timeout_ms: 5\n")}, (KeyChange(b"svc.yml", "timeout_ms", "changed", "5000", "5", 1),), "TimeoutError: request to http://inventory:8080 timed out"),
    (LOG, VIEWS, (), "ERROR job exceeded deadline\nTimeoutError: computation timed out"),
    (CFG, {b"limits.conf": (b"pool=10\n", b"pool=0\n")}, (KeyChange(b"limits.conf", "pool", "changed", "10", "0", 1),), "IllegalArgumentException: pool must be positive\n\tat a.B.c(B.java:3)"),
    (COR, {b"cache/index.bin": (b"IDX1" + bytes(90), b"IDX1" + bytes(20))}, (), "panic: unexpected EOF\n\ngoroutine 1 [running]:\nmain.load()\n\t/src/load.go:7"),
    (COR, {b"weights.bin": (bytes(range(256)) * 8, bytes(range(256)) * 4 + b"\xff" + bytes(range(1, 256)) + bytes(range(256)) * 3)}, (), "assertion failed: digest of weights.bin does not match"),
    (RES, {b"in.csv": (b"a,b\n1,2\n" * 9000, b"a,b\n1,2\n" * 300000)}, (), "Killed"),
    (LOG, {b"lib/calc.ex": (b"a\n", b"b\n")}, (), "** (ArithmeticError) bad argument in arithmetic expression\n    lib/calc.ex:9: Calc.avg/1"),
    (LOG, {b"Calc.cs": (b"a;\n", b"b;\n")}, (), "Unhandled exception. System.DivideByZeroException: Attempted to divide by zero.\n   at Calc.Avg() in /src/Calc.cs:line 9"),
    (LOG, {b"src/lib.kt": (b"a\n", b"b\n")}, (), 'Exception in thread "main" kotlin.KotlinNullPointerException\n\tat LibKt.main(lib.kt:3)'),
    (LOG, {b"index.php": (b"<?php\n", b"<?php a();\n")}, (), "PHP Fatal error:  Uncaught Error: Call to undefined function a() in /w/index.php:1\nStack trace:\n#0 {main}\n  thrown in /w/index.php on line 1"),
    (LOG, {b"main.pl": (b"1;\n", b"2;\n")}, (), "Can't locate object method \"x\" via package \"Y\" at main.pl line 3."),
    (LOG, {b"a.lua": (b"a\n", b"b\n")}, (), "lua: a.lua:3: attempt to index a nil value (local 't')\nstack traceback:\n\ta.lua:3: in main chunk"),
    (LOG, {b"report.R": (b"a\n", b"b\n")}, (), "Error in mean(x) : object 'x' not found\nExecution halted"),
    (DRF, {}, (), "Error: The API key you provided has been revoked"),
    (EXT, {}, (), "ERROR exchange feed: no heartbeat from peer for 30s, connection lost"),
    (RES, {}, (), 'ERROR: could not extend file "base/16384/2619": No space left on device'),
    (RES, {}, (), "Exceeded maximum number of tool calls: step limit reached"),
    (RES, {}, (), "fatal: write error: Disk quota exceeded"),
    (EXT, {}, (), "E: Failed to fetch http://deb.example.org/x.deb  Temporary failure resolving 'deb.example.org'"),
    (EXT, {}, (), "Error: Client network socket disconnected before secure TLS connection was established"),
    (EXT, {}, (), 'docker: Error response from daemon: Get "https://registry-1.docker.io/v2/": net/http: request canceled while waiting for connection'),
]  # fmt: skip

GOOD_CSV = b"sku,qty,price\n" + b"".join(b"s%d,%d,%d.5\n" % (i, i, i) for i in range(40))
GOOD_JSON = b'{"rows": [' + b", ".join(b'{"id": %d, "name": "n%d"}' % (i, i) for i in range(20)) + b"]}\n"
PLAIN = [
    # a program's own words; what changed decides most
    (CFG, {b"conf/pipeline.yml": (b"workers: 4\n", b"workers: -4\n")}, (KeyChange(b"conf/pipeline.yml", "workers", "changed", "4", "-4", 1),), "2024-05-01 10:00:00 CRITICAL pipeline aborted: worker count -4 makes no sense"),
    (CFG, {b"conf/pipeline.yml": (b"sink: s3\n", b"sink: s33\n")}, (KeyChange(b"conf/pipeline.yml", "sink", "changed", "s3", "s33", 1),), "ERROR no sink driver called s33 (have: s3, file, null)"),
    (CFG, {b"app.toml": (b"[log]\nlevel='info'\n", b"[log]\nlevel='chatty'\n")}, (KeyChange(b"app.toml", "log.level", "changed", "info", "chatty", 2),), "fatal: chatty: not a level I know"),
    (CFG, {b"roles.json": (b'{"admin": ["read", "write"]}', b'{"admin": ["read"]}')}, (KeyChange(b"roles.json", "admin[1]", "removed", "write", "", 1),), "DENIED admin may not write"),
    (CFG, {b"cron.conf": (b"every=5m\n", b"every=5 minutes\n")}, (KeyChange(b"cron.conf", "every", "changed", "5m", "5 minutes", 1),), "scheduler: bad interval: '5 minutes'\nscheduler: giving up"),
    (CFG, {b"deploy/values.yaml": (b"image: web:1\n", b"image: web;1\n")}, (KeyChange(b"deploy/values.yaml", "image", "changed", "web:1", "web;1", 1),), 'Failed to pull image "web;1": invalid reference format'),
    (COR, {b"data/stock.csv": (GOOD_CSV, GOOD_CSV[:300])}, (), "ERROR stock: row 25 has 2 cells, want 3"),
    (COR, {b"data/stock.csv": (GOOD_CSV, GOOD_CSV.replace(b"s7,7", b"s7,seven"))}, (), "stock import: qty 'seven' on line 9 is nonsense, stopping"),
    (COR, {b"data/rows.json": (GOOD_JSON, GOOD_JSON[:200])}, (), "parser gave up at offset 200 of data/rows.json"),
    (COR, {b"cache/blob.gz": (b"\x1f\x8b\x08\0" + b"z" * 400, b"\x1f\x8b\x08\0" + b"z" * 90)}, (), "cache: blob.gz ended before its end marker"),
    (COR, {b"ledger.dat": (b"LDGR" + bytes(range(200)), b"LDGR" + bytes(range(100)) + b"\0" * 100)}, (), "ledger.dat: sums do not add up, refusing to open"),
    (COR, {b"notes/a.txt": ("Gr\u00fc\u00dfe, und noch viel mehr Text\n".encode(), "Gr\u00fc\u00dfe, und noch viel mehr Text\n".encode("latin-1"))}, (), "indexer: notes/a.txt: odd bytes at 2"),
    (DRF, {b"data/stock.csv": (GOOD_CSV, GOOD_CSV.replace(b"sku,qty", b"article,qty"))}, (), "ERROR stock: I need a sku for every row"),
    (DRF, {b"data/rows.json": (GOOD_JSON, GOOD_JSON.replace(b'"name"', b'"label"'))}, (), "render: name is undefined for row 1"),
    (DRF, {b"package-lock.json": (b'{"v": 1}', b'{"v": 2}'), b"node_modules/dates/index.js": (b"exports.fmt = 1\n", b"exports.format = 1\n")}, (), "boot failed: dates.fmt is missing"),
    (DRF, {b"requirements.txt": (b"tables==3.1\n", b"tables==4.0\n")}, (), "report stopped: engine said 'legacy tables are gone'"),
    (DRF, {b"templates/invoice.tpl": (b"x {total}\n", None)}, (), "cannot find template invoice.tpl"),
    (DRF, {b"bin/convert": (b"#!/bin/sh\n", None)}, (), "make_report: bin/convert: not found"),
    (DRF, {b"proto/order.proto": (b"int32 id = 1;\n", b"string id = 1;\n")}, (), "decoder: field 1 has wire type 2, wanted 0"),
    (DRF, {b"expected/summary.txt": (b"total 10\n", b"total 11\n")}, (), "self test: summary.txt differs from what is expected"),
    (EXT, {}, (), "ERROR courier API is not answering (3 tries, 10 s each)"),
    (EXT, {}, (), "mail not sent: the relay at mx1.example.org closed on us"),
    (EXT, {}, (), "sync: remote said 'come back later' (503)"),
    (EXT, {}, (), "FATAL name lookup for ledger.internal gave nothing"),
    (EXT, {}, (), "price feed: got an HTML page instead of JSON from https://feed.example.com"),
    (EXT, {}, (), "upload gave up: peer went silent after 12%"),
    (EXT, {}, (), "ERROR webhook: 429 from https://hooks.example.com, told to wait 60 s"),
    (EXT, {}, (), "TLS: the server's certificate is not trusted"),
    (LOG, CODE, (), "ERROR sum of parts is 90, whole is 100"),
    (LOG, CODE, (), "audit: 3 of 10 totals are off by one"),
    (LOG, CODE, (), TRACE + "billing.errors.NegativeTotal: -3"),
    (LOG, JS, (), "2024-05-01T10:00:00Z error: state machine: no transition from 'paid' on 'pay'"),
    (LOG, CODE, (), "watchdog: main loop made no progress for 30 s, aborting"),
    (LOG, {b"calc.sh": (b"echo $((a+b))\n", b"echo $((a+))\n")}, (), 'calc.sh: line 1: a+: syntax error: operand expected (error token is "+")'),
    (RES, {}, (), "ERROR spool: nothing left on /var/spool (0 bytes free)"),
    (RES, {}, (), "render: heap is at 100%, stopping before the system does"),
    (RES, {}, (), "worker gave up: 1024 descriptors in use of 1024"),
    (RES, {}, (), "ERROR job used 61 s of CPU, 60 s allowed"),
    (RES, {}, (), "plan: today's token allowance is spent"),
    (RES, {}, (), "pool: all 20 connections busy for 30 s"),
]  # fmt: skip

FRAMEWORKS = [
    (LOG,{b"app/cart.py":(b"def t(x):\n    return x\n",b"def t(x):\n    return x - 1\n")},(),'Traceback (most recent call last):\n  File "/w/tests/test_cart.py", line 9, in test_total\n    assert total(c) == 30\nAssertionError: assert 29 == 30'),
    (EXT,{},(),"2024-05-01 10:00:00,000 ERROR [sync] Giving up on s3://bucket: The specified bucket is temporarily unreachable (ServiceUnavailable)"),
    (CFG,{b"helm/values.yaml":(b"replicas: 2\nmemory: 512Mi\n",b"replicas: 2\nmemory: 512Mx\n")},(KeyChange(b"helm/values.yaml","memory","changed","512Mi","512Mx",2),),"Error: quantities must match the regular expression: '512Mx'"),
    (DRF,{b"api/openapi.yaml":(b"v1\n",b"v2\n")},(),"AssertionError: contract check failed: response lacks 'total'"),
    (RES,{b"src/app.py":(b"x=1\n",b"x=2\n")},(),'psycopg2.errors.DiskFull: could not write to file "base/pgsql_tmp": No space left on device'),
    (RES,{},(),"gunicorn: [CRITICAL] WORKER TIMEOUT (pid:12)\ngunicorn: [ERROR] Worker (pid:12) was sent SIGKILL! Perhaps out of memory?"),
    (EXT,{},(),"celery.exceptions.Retry: amqp connection to broker lost: [Errno 104] Connection reset by peer"),
    (COR,{b"models/a.pkl":(b"\x80\x04\x95"+b"a"*300,b"\x80\x04\x95"+b"a"*120)},(),"EOFError: Ran out of input"),
    (COR,{b"db/app.sqlite3":(b"SQLite format 3\0"+b"q"*9000,b"garbage"+b"q"*9000)},(),"django.db.utils.DatabaseError: file is not a database"),
    (CFG,{b"tsconfig.json":(b'{"compilerOptions": {"target": "es2020"}}',b'{"compilerOptions": {"target": "es20"}}')},(KeyChange(b"tsconfig.json","compilerOptions.target","changed","es2020","es20",1),),"error TS6046: Argument for '--target' option must be: 'es5', 'es6', 'es2015'"),
    (DRF,{b"Gemfile.lock":(b"rack (2.0)\n",b"rack (3.0)\n")},(),"NoMethodError: undefined method `escape' for Rack::Utils:Module"),
    (LOG,{b"lib/user.rb":(b"a\n",b"b\n")},(),"lib/user.rb:4:in `full': undefined local variable or method `frist' for #<User> (NameError)"),
    (DRF,{b"go.mod":(b"go 1.20\n",b"go 1.22\n")},(),"go: go.mod requires go >= 1.22 (running go 1.20; GOTOOLCHAIN=local)"),
    (CFG,{b"docker-compose.yml":(b"ports: 80\n",b"ports: 80:80:80:80\n")},(KeyChange(b"docker-compose.yml","ports","changed","80","80:80:80:80",1),),"Error response from daemon: invalid containerPort: 80:80:80:80"),
    (EXT,{b"NOTES.md":(b"a",b"b")},(),"npm ERR! code ETIMEDOUT\nnpm ERR! network request to https://registry.example.org/x failed"),
    (EXT,{},(),"error: RPC failed; curl 56 GnuTLS recv error (-54): Error in the pull function.\nfatal: early EOF"),
    (LOG,{b"web/src/List.tsx":(b"a\n",b"b\n")},(),"Uncaught Error: Too many re-renders. React limits the number of renders to prevent an infinite loop."),
    (RES,{},(),"FATAL:  sorry, too many clients already"),
    (RES,{},(),"pthread_create: Resource temporarily unavailable"),
    (COR,{b"data/part-0001.json":(b'{"a": 1}\n{"a": 2}\n{"a": 3}\n',b'{"a": 1}\n{"a": 2}}\n{"a": 3}\n')},(),"org.apache.spark.SparkException: Malformed records are detected in record parsing. Parse Mode: FAILFAST"),
    (DRF,{b"data/users.csv":(b"id,email\n1,a\n2,b\n3,c\n",b"id,mail\n1,a\n2,b\n3,c\n")},(),"pandas.errors.UndefinedVariableError: name 'email' is not defined"),
    (CFG,{b"settings/prod.py":(b"CACHE = 'redis'\nTTL = 3\n",b"CACHE = 'redsi'\nTTL = 3\n")},(),"InvalidCacheBackendError: Could not find backend 'redsi'"),
    (LOG,{b"src/main.go":(b"a\n",b"b\n")},(),"fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/w/src/main.go:9 +0x1"),
    (EXT,{},(),"error sending request for url (https://api.example.com/): operation timed out"),
    (RES,{},(),"Error: Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 41000"),
    (DRF,{},(),"sh: 1: jq: not found"),
    (DRF,{},(),"E   ImportError: libGL.so.1: cannot open shared object file: No such file or directory"),
    (CFG,{b"config.yml":(b"a:\n  b: 1\n",b"a:\n b: 1\n   c: 2\n")},(),'yaml.scanner.ScannerError: mapping values are not allowed here\n  in "config.yml", line 3, column 5'),
    (COR,{b"config.json":(b'{"a": {"b": [1, 2, 3]}}\n',b'{"a": {"b": [1,')},(),"json.decoder.JSONDecodeError: Expecting value: line 1 column 16 (char 15)"),
    (EXT,{b"src/client.py":(b"def get():\n  pass\n",b"def get():\n  log()\n  pass\n")},(),'Traceback (most recent call last):\n  File "/w/src/client.py", line 2, in get\n    r.raise_for_status()\nrequests.exceptions.HTTPError: 503 Server Error: Service Unavailable for url: https://api.x.com/a'),

]  # fmt: skip


@pytest.mark.parametrize(("label", "changes", "keys", "log"), [*CASES, *MIXED, *PLAIN, *FRAMEWORKS])
def test_a_failure_in_its_own_words(label, changes, keys, log):
    cause = classify(cause_case(log.encode() + b"\n", changes, keys=keys), RULES)
    assert cause.category == label, [(piece.rule, piece.weight, piece.effect) for piece in cause.evidence]

"""Planted secrets found, by class, file type and encoding; false alarms on clean files.

    python benchmarks/secrets_quality.py [--seed N] [--count N] [CLEAN_FOLDER...]

The plants are written the way programs, people and tools write them (templates below), with
values drawn by shapes that the scanner's rules were not made from: passphrases with digits,
leet words, random passwords of several alphabets, keys of several lengths.
"""

from __future__ import annotations

import base64
import gzip
import os
import random
import string
import sys
from collections import Counter
from urllib.parse import quote

import program

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests"))

from support import secret_values

from casreplay.forensics.secrets.rules import default_rules
from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter

WORDS = [
    "autumn",
    "tiger",
    "coffee",
    "window",
    "river",
    "purple",
    "monkey",
    "dragon",
    "castle",
    "silver",
    "winter",
    "orange",
    "planet",
    "rocket",
]

TEMPLATES = {
    "password": {
        "a.log": [
            "2026-03-01 10:00:01,123 DEBUG db.pool connecting user=svc password={} host=db1 port=5432",
            "[2026-03-01T10:00:01Z] auth: trying password: {}",
            'level=debug msg="login" user=bob password="{}"',
            '{{"ts":"2026-03-01","event":"login","password":"{}"}}',
            "+ PGPASSWORD={} psql -h db",
            "+ mytool --password {} deploy",
            "jdbc:sqlserver://db;databaseName=x;user=sa;password={};encrypt=true",
            "Connecting with amqp://svc:{}@rabbit:5672/vhost",
        ],
        "settings.py": [
            'DATABASES = {{"default": {{"USER": "svc", "PASSWORD": "{}"}}}}',
            "password = '{}'",
            'conn = connect(host="db", passwd="{}")',
            'os.environ["SMTP_PASSWORD"] = "{}"',
        ],
        "app.ts": ["  password: '{}',", 'const dbPassword: string = "{}";', 'user.setPassword("{}")'],
        "Main.java": ['String password = "{}";', 'props.setProperty("db.password", "{}");'],
        ".env": ["DB_PASSWORD={}", "SMTP_PASS='{}'", "export ADMIN_PASSWORD={}"],
        "app.yaml": ["  password: {}", "  db_password: '{}'", '    rootPassword: "{}"'],
        "app.properties": ["spring.datasource.password={}", "mail.smtp.password = {}"],
        "app.ini": ["password = {}", "smtp_pass={}"],
        "app.toml": ['password = "{}"'],
        "app.json": ['  "password": "{}",', '{{"db": {{"pwd": "{}"}}}}'],
        "app.xml": ["<password>{}</password>", '<add key="Password" value="{}"/>'],
        "run.sh": ["export MYSQL_PWD={}", "mysql -u root -p{} app", "curl -u admin:{} https://api.host/x"],
        "Dockerfile": ["ENV DB_PASSWORD={}"],
    },
    "key": {
        "a.log": [
            "2026-03-01 INFO client: using api_key={} region=eu",
            "> Authorization: Bearer {}",
            "> X-Api-Key: {}",
            "GET /v1/items?access_token={}&page=2 HTTP/1.1",
            "secret token: {}",
        ],
        "settings.py": ['SECRET_KEY = "{}"', 'client_secret = "{}"', 'headers = {{"X-Auth-Token": "{}"}}'],
        "app.ts": ['apiKey: "{}",', "const clientSecret = '{}'"],
        ".env": ["API_KEY={}", "JWT_SECRET={}", "AUTH_TOKEN={}"],
        "app.yaml": ["  apiKey: {}", "  client_secret: {}"],
        "app.json": ['  "accessToken": "{}",', '{{"secretKey": "{}"}}'],
        "run.sh": ["export AUTH_TOKEN={}", "tool --api-key {} list"],
        "main.tf": ['  secret_key = "{}"'],
    },
    "token": {
        "a.log": ["2026-03-01 DEBUG request header: {}", "error: bad credentials ({})", "{}"],
        "settings.py": ['TOKEN = "{}"', "# {}"],
        ".env": ["X={}"],
        "app.json": ['  "v": "{}"'],
        "notes.md": ["Use `{}` for now"],
    },
}
FILLER = (
    "2026-03-01 10:00:{:02} INFO worker-{} processed batch of {} rows",
    "import module_{} as m{}  # {}",
    "# comment {} about {} and {}",
    "  retries: {}{}{}",
    "at com.example.Service.call(Service.java:{}{}{})",
)
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "latin-1", "gzip", "base64", "percent")


def password(rng: random.Random) -> str:
    shape = rng.randrange(5)
    if shape == 0:
        return rng.choice(WORDS).title() + str(rng.randrange(10, 9999)) + rng.choice("!@#$%&*")
    if shape == 1:
        return rng.choice(WORDS).translate(str.maketrans("aeiost", "43!0$7")) + str(rng.randrange(100))
    if shape == 2:
        return "-".join(rng.choice(WORDS) for _ in range(3)) + str(rng.randrange(10, 99))
    letters = string.ascii_letters + string.digits + ("!#%+-_.^*" if shape == 3 else "")
    while True:
        text = "".join(rng.choice(letters) for _ in range(rng.randint(9, 20)))
        if any(c.isdigit() for c in text) and any(c.isalpha() for c in text):
            return text


def key(rng: random.Random) -> str:
    letters = rng.choice(
        [string.hexdigits[:16], string.ascii_letters + string.digits, string.ascii_lowercase + string.digits]
    )
    return "".join(rng.choice(letters) for _ in range(rng.choice([24, 32, 40, 64])))


def value_of(what: str, rng: random.Random) -> str:
    if what == "password":
        return password(rng)
    if what == "key":
        return key(rng)
    rule = rng.choice(default_rules().tokens)
    return secret_values.valid_token(rule, rng.choice(rule.forms), rng)


def wrap(text: str, encoding: str, rng: random.Random) -> bytes:
    if encoding == "gzip":
        return gzip.compress(text.encode(), mtime=0)
    if encoding == "base64":
        return b"blob: " + base64.b64encode(text.encode()) + b"\n"
    if encoding == "percent":
        return b"POST /x?body=" + quote(text, safe="").encode() + b"\n"
    lead = "\ufeff" if encoding.startswith("utf-16") and rng.random() < 0.5 else ""
    return (lead + text).encode(encoding)


def one_file(what: str, template: str, encoding: str, rng: random.Random) -> tuple[bytes, str]:
    value = value_of(what, rng)
    lines = [rng.choice(FILLER).format(*(rng.randrange(60) for _ in range(3))) for _ in range(8)]
    line = template.format(value)
    if encoding in ("base64", "percent"):
        return "\n".join(lines[:4]).encode() + b"\n" + wrap(line, encoding, rng), value
    lines.insert(rng.randrange(8), line)
    return wrap("\n".join(lines) + "\n", encoding, rng), value


def recall(scanner: SecretScanner, seed: int, count: int, *, verbose: bool) -> float:
    rng = random.Random(seed)
    planted: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    fingerprint = fingerprinter(b"k" * 32)
    for _ in range(count):
        what = rng.choice(list(TEMPLATES))
        path = rng.choice(list(TEMPLATES[what]))
        template = rng.choice(TEMPLATES[what][path])
        encoding = rng.choice(ENCODINGS) if rng.random() < 0.5 else "utf-8"
        data, value = one_file(what, template, encoding, rng)
        found = scanner.scan_bytes(data, path.encode())
        text = data.decode("latin-1")
        spans = [text[m.offset : m.offset + m.length] for m in found]
        hit = any(m.fingerprint == fingerprint(value.encode()) for m in found) or any(
            value in s for s in spans
        )
        for group in ("all", what, "in " + encoding, "at " + path):
            planted[group] += 1
            caught[group] += hit
        if verbose and not hit:
            print("missed", path, encoding, template.format(value))
    for group in sorted(planted):
        print(f"{group:16} {caught[group]:5} of {planted[group]:5}  {caught[group] / planted[group]:.3f}")
    return caught["all"] / planted["all"]


def false_alarms(scanner: SecretScanner, folders: list[str], *, verbose: bool) -> None:
    for folder in folders:
        size, alarms = 0, Counter[str]()
        for root, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(root, name)
                if os.path.islink(path) or os.path.getsize(path) > 64 << 20:
                    continue
                with open(path, "rb") as file:
                    data = file.read()
                size += len(data)
                for match in scanner.scan_bytes(data, os.fsencode(path)):
                    alarms[match.rule] += 1
                    if verbose:
                        at = match.offset
                        print(
                            "alarm",
                            match.rule,
                            path,
                            match.line,
                            data[max(0, at - 60) : at + match.length + 10],
                        )
        print(f"{folder}: {size / 1e6:.1f} MB, {sum(alarms.values())} findings {dict(alarms)}")


def main() -> None:
    parser = program.parser(__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("folders", nargs="*")
    options = parser.parse_args()
    scanner = SecretScanner(fingerprinter(b"k" * 32))
    recall(scanner, options.seed, options.count, verbose=options.verbose)
    false_alarms(scanner, options.folders, verbose=options.verbose)


if __name__ == "__main__":
    main()

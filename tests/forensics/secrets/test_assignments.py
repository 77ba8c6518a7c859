from __future__ import annotations

import pytest

from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter

SCANNER = SecretScanner(fingerprinter(b"k" * 32), engine="re")
PW = "Xk9" + "mQ2vLr7w"
KEY = "q7Rk2Lm9" + "Zx4Vb8Nc3Td6"


def values(text: str, path: str) -> list[str]:
    data = text.encode()
    return [data[m.offset : m.offset + m.length].decode() for m in SCANNER.scan_bytes(data, path.encode())]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", f'password = "{PW}"\n'),
        ("a.py", f"DB_PASSWORD: str = '{PW}'\n"),
        ("a.py", f'connect(host="x", password="{PW}")\n'),
        ("a.py", f'os.environ["DB_PASSWORD"] = "{PW}"\n'),
        ("a.py", f'os.environ.setdefault("DB_PASSWORD", "{PW}")\n'),
        ("a.py", f'{{"user": "x", "password": "{PW}"}}\n'),
        ("a.js", f"const clientSecret = '{PW}zZ81';\n"),
        ("a.ts", f"  dbPassword: `{PW}`,\n"),
        ("a.rb", f'  "password" => "{PW}"\n'),
        ("a.go", f'password := "{PW}"\n'),
        ("A.java", f'config.setPassword("{PW}");\n'),
        ("a.php", f"define('DB_PASSWORD', '{PW}');\n"),
        ("a.sql", f"CREATE USER x WITH PASSWORD '{PW}';\n"),
        ("a.sh", f"export PGPASSWORD={PW}\n"),
        ("a.sh", f"mytool --password {PW} --verbose\n"),
        ("a.sh", f"API_TOKEN={KEY} run\n"),
        ("Dockerfile", f"ENV DB_PASS={PW}\n"),
        (".env", f"DB_PASSWORD={PW}\n"),
        (".env.production", f"SECRET_KEY={KEY} # rotate\n"),
        ("a.properties", f"spring.datasource.password={PW}\n"),
        ("a.ini", f"[db]\npassword = {PW}\n"),
        ("a.toml", f'api_key = "{KEY}"\n'),
        ("a.yaml", f"db:\n  password: {PW}\n"),
        ("a.yml", f"- name: DB_PASSWORD\n  value: {PW}\n"),
        ("a.json", f'{{"name": "DB_PASSWORD", "value": "{PW}"}}'),
        ("a.json", f'{{"apiKey": "{KEY}"}}'),
        ("a.xml", f"<password>{PW}</password>\n"),
        ("a.config", f'<add key="DbPassword" value="{PW}"/>\n'),
        ("a.log", f"2026-01-01 INFO login user=bob password={PW} ok\n"),
        ("a.log", f"sending token: {KEY}\n"),
        ("a.log", f'POST /login {{"user":"bob","password":"{PW}"}}\n'),
        ("a.log", f"Server=db;User Id=sa;Password={PW};Encrypt=true\n"),
        ("a.log", f"GET /v1/x?api_key={KEY}&page=2\n"),
        ("a.log", f"your password is {PW}\n"),
        ("a.jsonl", f'{{"content": "export DB_PASSWORD=\\"{PW}\\"\\n"}}\n'),
        ("a.jsonl", f'{{"content": "{{\\"password\\": \\"{PW}\\"}}"}}\n'),
    ],
)
def test_found_whole_and_nothing_else(path: str, text: str) -> None:
    secret = PW if PW in text else KEY
    assert [v for v in values(text, path) if v.startswith(secret)] == [
        secret + "zZ81" if secret + "zZ81" in text else secret
    ]
    assert len(values(text, path)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", "password = get_password()\n"),
        ("a.py", "password = os.environ['DB_PASSWORD']\n"),
        ("a.py", "def login(user, password: str = None):\n"),
        ("a.py", "password = 'password'\n"),
        ("a.py", "token = 'your_token_here'\n"),
        ("a.py", "secret_name = 'prod/database/main'\n"),
        ("a.py", "PASSWORD_RESET_URL = '/accounts/reset/confirm'\n"),
        ("a.py", "parser.add_argument('--password', help='the database password')\n"),
        ("a.py", "api_key = f'{prefix}-{suffix}'\n"),
        ("a.js", "const token = req.headers.authorization;\n"),
        ("a.js", 'password: "${DB_PASSWORD}",\n'),
        ("a.yaml", "password: ${{ secrets.DB_PASSWORD }}\n"),
        ("a.yaml", "passwordSecretRef: my-secret-name\n"),
        ("a.yaml", "password: !vault |\n"),
        ("a.yaml", "password: '{{ vault_db_password }}'\n"),
        (".env", "DB_PASSWORD=\n"),
        (".env", "DB_PASSWORD=changeme\n"),
        (".env", "API_KEY=xxxxxxxxxxxxxxxx\n"),
        (".env", "API_KEY=<your-api-key>\n"),
        ("a.ini", "password = %(default_password)s\n"),
        ("a.log", "Unexpected token: IDENTIFIER at line 3\n"),
        ("a.log", "Password: ********\n"),
        ("a.log", "password=[REDACTED]\n"),
        ("a.log", "token: 12345\n"),
        ("a.log", "input_tokens: 18237 output_tokens: 993\n"),
        ("a.log", "GITHUB_TOKEN: ***\n"),
        ("a.log", "server-password: GITHUB_TOKEN\n"),
        ("a.log", 'password authentication failed for user "bob"\n'),
        ("a.log", "the password is incorrect\n"),
        ("a.log", "secret/data/app/config was not found\n"),
        ("a.log", "tests passed: 128, failed: 0\n"),
        ("a.log", "token=null secret=undefined pass=true\n"),
        ("a.log", "cache_key: node-modules-linux-x64-3f2a\n"),
        ("a.log", "Primary key: 550e8400-e29b-41d4-a716-446655440000\n"),
        ("a.json", '{"password": {"type": "string", "minLength": 8}}'),
        ("a.json", '{"integrity": "sha512-7oVGvGjHk0Jb6QbnUqJWjCmvtqCbMvF5L1vAVmiy0TQw8oK1g=="}'),
    ],
)
def test_not_a_secret(path: str, text: str) -> None:
    assert values(text, path) == []


def test_code_counts_quoted_values_only() -> None:
    line = f"password = {PW}\n"
    assert values(line, "a.py") == []
    assert values(line, "a.ini") == [PW]


def test_values_with_separators_inside_are_taken_whole() -> None:
    secret = "aB3;dE&6,gH9" + "jK"
    assert values(f"login password={secret} ok\n", "a.log") == [secret]
    assert values(f"password: {secret} # comment\n", "a.yaml") == [secret]

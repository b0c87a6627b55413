"""Texts with tokens of the providers' formats that open nothing, and texts that only look so.

Every run of a seed makes the same texts. A span is {"kind", "start", "end"} in code points.
"""

import base64
import hashlib
import hmac
import json
import random
import re
import string
import uuid
import zlib

from secret_texts import BENIGN, CONTEXTS, FILLER

ALNUM = string.ascii_letters + string.digits
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
BASE64 = ALNUM + "+/"
URLSAFE = ALNUM + "-_"
HEX = string.digits + "abcdef"
BASE32 = string.ascii_uppercase + "234567"


class Maker:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def take(self, alphabet, count):
        return "".join(self.rng.choice(alphabet) for _ in range(count))

    def bytes64(self, count):
        return base64.b64encode(self.rng.randbytes(count)).decode()

    def checked(self, prefix, count=30):
        """Of GitHub and npm: random text, then its CRC-32 in six digits of base 62."""
        body = self.take(BASE62, count)
        crc, check = zlib.crc32(body.encode()), ""
        for _ in range(6):
            crc, digit = divmod(crc, 62)
            check = BASE62[digit] + check
        return prefix + body + check

    def own(self):
        text = self.rng.choice(["sk-mllm-", "sk-mllm-admin-"]) + self.take(HEX, 64)
        return text + format(zlib.crc32(text.encode()), "08x")

    def jwt(self):
        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

        head = part(b'{"alg":"HS256","typ":"JWT"}')
        body = {"sub": self.take(string.digits, 9), "iat": 1700000000 + self.rng.randrange(10**8)}
        signed = head + "." + part(json.dumps(body).encode())
        return (
            signed
            + "."
            + part(hmac.digest(self.rng.randbytes(16), signed.encode(), hashlib.sha256))
        )

    def private_key(self):
        """Real ones, since some tools look inside. RSA's are new in every run."""
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

        kind = self.rng.randrange(4)
        if kind == 0:
            key, way = rsa.generate_private_key(65537, 2048), form.PrivateFormat.TraditionalOpenSSL
        elif kind == 1:
            key = ec.derive_private_key(self.rng.getrandbits(250), ec.SECP256R1())
            way = form.PrivateFormat.TraditionalOpenSSL
        else:
            key = ed25519.Ed25519PrivateKey.from_private_bytes(self.rng.randbytes(32))
            way = form.PrivateFormat.PKCS8 if kind == 2 else form.PrivateFormat.OpenSSH
        return key.private_bytes(form.Encoding.PEM, way, form.NoEncryption()).decode().strip()

    def password(self):
        """As password managers make them: twelve or more characters of every class."""
        rng = self.rng
        chars = [
            rng.choice(c)
            for c in (string.ascii_lowercase, string.ascii_uppercase, string.digits, "!#%*+?_-")
        ]
        chars += self.take(ALNUM, rng.randint(8, 16))
        rng.shuffle(chars)
        return "".join(chars)

    def memorable(self):
        """As people make them."""
        words = ["tiger", "Sommer", "kitchen", "Liverpool", "maria", "dragon", "winter", "coffee"]
        first, second = self.rng.sample(words, 2)
        forms = ["{a}{y}!", "{a}-{b}-{d}", "{a}{d}{b}", "{b}#{y}", "{a}_{b}{d}?"]
        year, number = self.rng.randint(1961, 2024), self.rng.randint(11, 99)
        return self.rng.choice(forms).format(a=first, b=second, y=year, d=number)

    def connection(self):
        scheme, port = self.rng.choice(
            [
                ("postgres", 5432),
                ("mysql", 3306),
                ("mongodb", 27017),
                ("amqp", 5672),
                ("redis", 6379),
            ]
        )
        word = self.take(ALNUM, self.rng.randint(10, 18))
        return f"{scheme}://svc_{self.take(string.ascii_lowercase, 5)}:{word}@db{self.rng.randint(1, 9)}.corp.lan:{port}/main"


# What is made, and the name that it is assigned to in code.
KINDS = {
    "own key": ("MICROLLM_API_KEY", Maker.own),
    "aws access key": (
        "AWS_ACCESS_KEY_ID",
        lambda m: m.rng.choice(["AKIA", "ASIA"]) + m.take(BASE32, 16),
    ),
    "aws secret key": ("AWS_SECRET_ACCESS_KEY", lambda m: m.take(BASE64, 40)),
    "github token": (
        "GITHUB_TOKEN",
        lambda m: m.checked(m.rng.choice(["ghp_", "gho_", "ghu_", "ghs_", "ghr_"])),
    ),
    "github fine-grained": (
        "GH_TOKEN",
        lambda m: f"github_pat_11{m.take(BASE32, 20)}_{m.take(ALNUM, 59)}",
    ),
    "gitlab token": ("GITLAB_TOKEN", lambda m: "glpat-" + m.take(URLSAFE, 20)),
    "slack token": (
        "SLACK_BOT_TOKEN",
        lambda m: f"xoxb-{m.take('123456789', 12)}-{m.take('123456789', 13)}-{m.take(ALNUM, 24)}",
    ),
    "slack webhook": (
        "SLACK_HOOK",
        lambda m: (
            f"https://hooks.slack.com/services/T{m.take(BASE32, 10)}/B{m.take(BASE32, 10)}/{m.take(ALNUM, 24)}"
        ),
    ),
    "stripe key": (
        "STRIPE_KEY",
        lambda m: m.rng.choice(["sk", "rk"]) + "_live_" + m.take(ALNUM, m.rng.choice([24, 99])),
    ),
    "google api key": ("MAPS_KEY", lambda m: "AIza" + m.take(URLSAFE, 34) + m.take(ALNUM, 1)),
    "openai key": (
        "OPENAI_API_KEY",
        lambda m: f"sk-proj-{m.take(URLSAFE, 74)}T3BlbkFJ{m.take(URLSAFE, 73)}{m.take(ALNUM, 1)}",
    ),
    "anthropic key": ("ANTHROPIC_API_KEY", lambda m: f"sk-ant-api03-{m.take(URLSAFE, 93)}AA"),
    "hugging face token": ("HF_TOKEN", lambda m: "hf_" + m.take(string.ascii_letters, 34)),
    "npm token": ("NPM_TOKEN", lambda m: m.checked("npm_")),
    "pypi token": (
        "TWINE_PASSWORD",
        lambda m: "pypi-AgEIcHlwaS5vcmc" + m.take(URLSAFE, 160) + m.take(ALNUM, 1),
    ),
    "sendgrid key": (
        "SENDGRID_API_KEY",
        lambda m: f"SG.{m.take(URLSAFE, 22)}.{m.take(URLSAFE, 42)}{m.take(ALNUM, 1)}",
    ),
    "twilio key": ("TWILIO_API_KEY", lambda m: "SK" + m.take(HEX, 32)),
    "telegram token": (
        "TELEGRAM_BOT_TOKEN",
        lambda m: f"{m.take('123456789', 10)}:AA{m.take(URLSAFE, 32)}{m.take(ALNUM, 1)}",
    ),
    "digitalocean token": ("DO_TOKEN", lambda m: "dop_v1_" + m.take(HEX, 64)),
    "shopify token": ("SHOPIFY_TOKEN", lambda m: "shpat_" + m.take(HEX, 32)),
    "azure storage key": ("AZURE_STORAGE_KEY", lambda m: m.bytes64(64)),
    "jwt": ("SESSION_JWT", Maker.jwt),
    "private key": ("DEPLOY_KEY", Maker.private_key),
    "connection string": ("DATABASE_URL", Maker.connection),
    "password": ("DB_PASSWORD", Maker.password),
    "memorable password": ("LOGIN_PASSWORD", Maker.memorable),
    "generic key": (
        "SERVICE_API_KEY",
        lambda m: m.take(m.rng.choice([HEX, ALNUM]), m.rng.choice([32, 40, 64])),
    ),
}

# What nobody could tell from its form alone, so it needs a name before it.
NEEDS_NAME = {
    "aws secret key",
    "azure storage key",
    "password",
    "memorable password",
    "generic key",
    "connection string",
    "slack webhook",
    "private key",
}

LENGTHS = (0, 0, 2, 6, 40)


def generated(seed, each=24):
    maker = Maker(seed)
    for kind, (name, make) in KINDS.items():
        named = kind in NEEDS_NAME
        contexts = [c for c, text in CONTEXTS.items() if not named or "{name}" in text]
        for number in range(each):
            context = contexts[number % len(contexts)]
            secret = make(maker)
            if kind == "private key" and context == "json":
                secret = secret.replace("\n", "\\n")
            before, after = (
                CONTEXTS[context].replace("{name}", spelled(name, context)).split("{secret}")
            )
            yield surrounded(before, secret, after, kind, context, maker.rng)


def spelled(name, context):
    if context in ("json", "javascript", "quoted json", "minified"):
        first, *rest = name.lower().split("_")
        return first + "".join(word.title() for word in rest)
    if context in ("terraform", "python"):
        return name.lower() if context == "terraform" else name
    return name.replace("_", " ").lower() if context in ("mail", "chat", "German chat") else name


def surrounded(before, secret, after, kind, context, rng):
    fillers = rng.choices(FILLER, k=rng.choice(LENGTHS))
    middle = rng.randint(0, len(fillers))
    lead = "".join(fillers[:middle]) + before
    text = lead + secret + after + "".join(fillers[middle:])
    span = {"kind": kind, "start": len(lead), "end": len(lead) + len(secret)}
    return {"text": text, "spans": [span], "source": "own templates", "context": context}


def benign(seed, count=1200):
    maker = Maker(seed + 1)
    templates = [(kind, template) for kind, all_ in BENIGN.items() for template in all_]
    for number in range(count):
        kind, template = templates[number % len(templates)]
        fillers = maker.rng.choices(FILLER, k=maker.rng.choice(LENGTHS))
        middle = maker.rng.randint(0, len(fillers))
        parts = [
            "".join(fillers[:middle]),
            filled(template, maker),
            "\n",
            "".join(fillers[middle:]),
        ]
        yield {"text": "".join(parts), "spans": [], "source": "own templates", "category": kind}


def filled(template, maker):
    """Replaces {hex64}, {alnum20}, {b64_32} (of that many bytes), {d4} and {uuid}."""
    make = {
        "hex": lambda size: maker.take(HEX, size),
        "alnum": lambda size: maker.take(ALNUM, size),
        "b64_": maker.bytes64,
        "d": lambda size: maker.rng.choice("123456789") + maker.take(string.digits, size - 1),
    }

    def value(found):
        if found.group(0) == "{uuid}":
            return str(uuid.UUID(int=maker.rng.getrandbits(128), version=4))
        return make[found.group(1)](int(found.group(2)))

    return re.sub(r"\{(?:uuid|(hex|alnum|b64_|d)(\d+))\}", value, template)

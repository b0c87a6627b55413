"""Texts with personal data that nobody has, and texts with numbers that only look like it.

Every run of a seed makes the same texts. A span is {"kind", "start", "end"} in code points; kinds:
email, phone, us_ssn, credit_card, iban, ip_address, national_id, passport, driver_licence,
birth_date, url_credentials.
"""

import contextlib
import io
import random
import re
import uuid
import warnings

# Of the entities of presidio-evaluator, those that have a form of their own.
STRUCTURED = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "US_SSN": "us_ssn",
    "CREDIT_CARD": "credit_card",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip_address",
    "US_DRIVER_LICENSE": "driver_licence",
}
# What may be found without being labelled: a date of somebody's birth is labelled as any date.
DEBATABLE = {"DATE_TIME": "birth_date"}

LOCALES = {
    "en_US": "US",
    "en_GB": "GB",
    "de_DE": "DE",
    "fr_FR": "FR",
    "es_ES": "ES",
    "it_IT": "IT",
    "nl_NL": "NL",
    "pl_PL": "PL",
    "pt_BR": "BR",
    "sv_SE": "SE",
    "fi_FI": "FI",
    "en_CA": "CA",
}

# What a national number is called in a form, by locale.
NUMBER_NAMES = {
    "en_US": "social security number",
    "en_GB": "National Insurance number",
    "de_DE": "Rentenversicherungsnummer",
    "fr_FR": "numéro de sécurité sociale",
    "es_ES": "NIF",
    "it_IT": "codice fiscale",
    "nl_NL": "BSN",
    "pl_PL": "PESEL",
    "pt_BR": "CPF",
    "sv_SE": "personnummer",
    "fi_FI": "henkilötunnus",
    "en_CA": "SIN",
}

SENTENCES = {
    "email": [
        "You reach me under {} until Friday.",
        "Copy {} on this, please.",
        "mailto:{}",
        "<{}> wrote on Monday that the shipment is late.",
        '{{"contact": "{}", "active": true}}',
        "Bounced: {} (mailbox full)",
    ],
    "phone": [
        "Ring me on {} after six.",
        "Tel.: {}",
        "My mobile is {}, in case the bell does not work.",
        "phone={}",
        "WhatsApp {} for the keys.",
        "The office can be called at {} from nine to five.",
    ],
    "credit_card": [
        "Put it on card {}, please.",
        "Card number {} was declined twice.",
        "The guest paid by credit card ({}).",
        '{{"pan": "{}"}}',
        "Charge {} as last month.",
    ],
    "iban": [
        "Transfer the deposit to {}.",
        "IBAN: {}",
        "Refund to account {} by the end of the week.",
        "The standing order goes to {}; change it, please.",
    ],
    "ip_address": [
        "Login from {} at 03:12.",
        "ssh root@{} times out.",
        "The camera has the address {}.",
        "client {} requested /index.html",
        "Block {} in the firewall, it scans our ports.",
    ],
    "national_id": [
        "My {name} is {}.",
        "{name}: {}",
        "On the form I wrote {} as {name}.",
        "Applicant, {name} {}, was informed.",
    ],
    "passport": [
        "Passport no. {}, valid for six more years.",
        "I lost my passport ({}) on the ferry.",
        "Passport number: {}",
    ],
    "driver_licence": [
        "Driver's license number {} was noted by the officer.",
        "My driver's license is {}.",
    ],
    "birth_date": [
        "Date of birth: {}",
        "She was born on {} in a village by the sea.",
        "DOB {}",
        "patient, born {}, admitted this morning",
    ],
    "url_credentials": [
        "The feed is at {} and changes daily.",
        "Clone it from {}.",
        "proxy: {}",
    ],
}

# Around a sentence, so that texts come in all lengths.
FILLER = [
    "The lift is being repaired, so take the stairs on the left.",
    "We have talked about this before, and nothing has been decided yet.",
    "Half of the chairs are still in the cellar, along with the long table.",
    "It has rained since morning and the path along the river is closed.",
    "Everybody gets a copy of the minutes, even those who were not there.",
    "If you have questions, ask at the front desk, where somebody always knows.",
    "The second version is shorter and easier to read than the first one.",
    "Please bring the forms, a pen, and some patience.",
    "The bakery on the corner has new owners and better bread.",
    "Nothing else has changed since we wrote to you in spring.",
]
LENGTHS = (0, 0, 0, 4, 12, 45)


def generated(seed, each=60):
    """Our own: `each` texts of every kind, in turn over the locales."""
    from faker import Faker

    rng = random.Random(seed)
    fakers = {locale: Faker(locale) for locale in LOCALES}
    for number, faker in enumerate(fakers.values()):
        faker.seed_instance(seed + number)
    for kind, sentences in SENTENCES.items():
        for number in range(each):
            locale = list(LOCALES)[number % len(LOCALES)]
            value = make(kind, fakers[locale], locale, rng)
            name = NUMBER_NAMES[locale]
            template = sentences[(number // len(LOCALES) + number) % len(sentences)]
            before, after = template.replace("{name}", name).split("{}")
            unescaped = [part.replace("{{", "{").replace("}}", "}") for part in (before, after)]
            label = "us_ssn" if kind == "national_id" and locale == "en_US" else kind
            yield surrounded(unescaped[0], value, unescaped[1], label, locale, rng)


def surrounded(before, value, after, kind, locale, rng):
    fillers = rng.choices(FILLER, k=rng.choice(LENGTHS))
    middle = rng.randint(0, len(fillers))
    lead = " ".join(fillers[:middle])
    lead += " " if lead else ""
    tail = " ".join(["", *fillers[middle:]])
    start = len(lead) + len(before)
    span = {"kind": kind, "start": start, "end": start + len(value)}
    text = lead + before + value + after + tail
    return {"text": text, "spans": [span], "source": "own templates", "locale": locale}


def make(kind, faker, locale, rng):
    if kind == "email":
        return rng.choice([faker.email, faker.ascii_company_email, faker.ascii_free_email])()
    if kind == "phone":
        return phone(LOCALES[locale], rng)
    if kind == "credit_card":
        card = faker.credit_card_number(rng.choice(["visa16", "mastercard", "amex", "discover"]))
        return grouped(card, 4, rng.choice(["", " ", "-"]) if len(card) == 16 else "")
    if kind == "iban":
        return grouped(faker.iban(), 4, rng.choice(["", " "]))
    if kind == "ip_address":
        return faker.ipv6() if rng.random() < 0.3 else faker.ipv4_public()
    if kind == "national_id":
        return national_number(faker, locale, rng)
    if kind == "passport":
        return (
            rng.choice("ABCEHKLMPX") + digits(rng, 8)
            if locale == "en_US"
            else faker.passport_number()
        )
    if kind == "driver_licence":
        # California, and Florida's letter with twelve digits.
        letter = rng.choice("ABCDEFGHJKLMNPRSTVWY")
        return letter + digits(rng, 7) if rng.random() < 0.5 else letter + digits(rng, 12)
    if kind == "birth_date":
        born = faker.date_of_birth(minimum_age=18, maximum_age=90)
        forms = {"en_US": "%m/%d/%Y", "en_CA": "%Y-%m-%d", "sv_SE": "%Y-%m-%d"}
        own = forms.get(locale, "%d.%m.%Y" if locale in ("de_DE", "fi_FI", "pl_PL") else "%d/%m/%Y")
        return born.strftime(rng.choice([own, own, "%Y-%m-%d"]))
    password = faker.password(length=10, special_chars=False)
    return f"https://{faker.user_name()}:{password}@{faker.domain_name()}/{faker.uri_path()}"


def national_number(faker, locale, rng):
    if locale == "en_GB":
        # Faker's begins with ZZ, which is never given out.
        prefix = rng.choice(["AB", "CE", "JG", "KH", "LM", "PX", "SK", "TN", "WE", "YA"])
        return f"{prefix} {digits(rng, 2)} {digits(rng, 2)} {digits(rng, 2)} {rng.choice('ABCD')}"
    own = {"de_DE": "rvnr", "es_ES": "nif", "pt_BR": "cpf", "pl_PL": "pesel"}
    return getattr(faker, own.get(locale, "ssn"))()


def phone(region, rng):
    """A number that its country may have given to somebody, as people write it."""
    import phonenumbers as p

    kind = rng.choice([p.PhoneNumberType.MOBILE, p.PhoneNumberType.FIXED_LINE])
    example = str(p.example_number_for_type(region, kind).national_number)
    while True:
        national = example[:-5] + digits(rng, 5)
        zeros = region == "IT" and kind == p.PhoneNumberType.FIXED_LINE
        number = p.PhoneNumber(
            p.country_code_for_region(region), int(national), italian_leading_zero=zeros
        )
        if p.is_valid_number(number):
            break
    form = rng.choice(
        [p.PhoneNumberFormat.INTERNATIONAL, p.PhoneNumberFormat.E164, p.PhoneNumberFormat.NATIONAL]
    )
    return p.format_number(number, form)


def digits(rng, count):
    return "".join(rng.choice("0123456789") for _ in range(count))


def grouped(text, size, separator):
    return separator.join(re.findall(f".{{1,{size}}}", text))


def presidio_sentences(seed, count=900):
    """Sentences of presidio-evaluator; spans of entities that have no form are left out."""
    # It says what it does; and that it goes on with a list of its own where it has no network.
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(None),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        from presidio_evaluator.data_generator import PresidioSentenceFaker

        faker = PresidioSentenceFaker(locale="en_US", lower_case_ratio=0.05, random_seed=seed)
        samples = faker.generate_new_fake_sentences(count)
    for sample in samples:
        spans, debatable = [], []
        for span in sample.spans:
            place = {"start": span.start_position, "end": span.end_position}
            if span.entity_type in STRUCTURED:
                spans.append({"kind": STRUCTURED[span.entity_type], **place})
            elif span.entity_type in DEBATABLE:
                debatable.append({"kind": DEBATABLE[span.entity_type], **place})
        source = "presidio-evaluator"
        yield {"text": sample.full_text, "spans": spans, "debatable": debatable, "source": source}


LOOK_ALIKES = [
    "Order {8} will arrive between 8 and 10.",
    "The ISBN is 978-3-{2}-{6}-{1}.",
    "Parcel 1Z{3}W{10} has left the depot.",
    "Version {1}.{2}.{1} fixes the crash of {1}.{2}.0.",
    "build {2}.0.{5}.{4} of the driver",
    "commit {hex40}",
    "request id {uuid}",
    "md5 {hex32}",
    "Part no. {4}-{5}-{2} is out of stock.",
    "It costs {3},{3}.{2} yen, or {2} euros.",
    "The point lies at 4{1}.{6}, 1{1}.{6}.",
    "Seed 16 numbers: {4} {3} {2} {1}.",
    "In 19{2} there were {1} {3} {3} inhabitants.",
    "Room {3}, floor {1}, seat {2}B",
    "See section {1}.{1}.{1}.{1} of the manual.",
    "from {1}:{2} to {1}:{2}, then again at 18:4{1}",
    "timestamp 17{8} was {1} s late",
    "Meter reading {6} on 2024-03-1{1}",
    "The meeting is on 2{1}.05.2024 at nine.",
    "@app.route('/items/{3}') needs a test",
    "font-size: {2}px; color: #{hex6}",
    "A = [{2}, {2}, {2}, {3}, {3}]",
    "EAN {13}x",
    "EUR/USD at 1.{4}, gold at {4}.{2}",
    "https://example.org/a/{8}/b?page={2}",
    "Invoice 2024-{4} replaces invoice 2023-{4}.",
    "Flight LH{4} departs from gate A{2}.",
    "The chip has {3} pins and runs at {4} MHz.",
    "Row {5}: {3} {3} {3} {3}",
    "npm install left-pad@1.{1}.{1}",
    "Case {2} O {4}/{2} was adjourned.",
    "loss: 0.{6}, accuracy: 0.{4}, step {5}",
    "ticket #{6} was merged into #{6}",
    "serial SN{10}{2}",
    "git@host path is not used here any more",
    "ratio {1}:{1}:{1}, mask 0x{hex6}",
    "The vote was {3} to {3} with {2} abstentions.",
    "MAC of the plug ends in {hex6}",
]


def benign(seed, count=900):
    """Texts without personal data, most of them full of digits."""
    rng = random.Random(seed + 1)
    for number in range(count):
        if number % 4 == 3:
            sentence = rng.choice(FILLER)
        else:
            sentence = filled(LOOK_ALIKES[number % len(LOOK_ALIKES)], rng)
        fillers = rng.choices(FILLER, k=rng.choice(LENGTHS))
        middle = rng.randint(0, len(fillers))
        text = " ".join([*fillers[:middle], sentence, *fillers[middle:]])
        yield {"text": text, "spans": [], "source": "look-alikes"}


def filled(template, rng):
    def value(found):
        what = found.group(1)
        if what == "uuid":
            return str(uuid.UUID(int=rng.getrandbits(128), version=4))
        if what.startswith("hex"):
            return "".join(rng.choice("0123456789abcdef") for _ in range(int(what[3:])))
        return rng.choice("123456789") + digits(rng, int(what) - 1)

    return re.sub(r"\{(\w+)\}", value, template)

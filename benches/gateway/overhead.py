"""What this product's answers say that they cost beside the model (`x-microllm-overhead-duration-ms`)."""

import http.client
import time
from urllib.parse import urlsplit

from load import Failed

HEADER = "x-microllm-overhead-duration-ms"


def one_by_one(chat, seconds):
    """In milliseconds: one client, who asks again when the last answer is there, for `seconds`."""
    url, found = urlsplit(chat.url), []
    connection = http.client.HTTPConnection(url.netloc, timeout=10)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        body = chat.text().replace("@@", f"by itself {len(found)}")
        try:
            connection.request("POST", url.path, body, chat.all_headers())
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"no answer: {error}") from None
        if answer.status != 200 or HEADER not in answer.headers:
            raise Failed(f"invalid: answers {answer.status}, {HEADER}: {answer.headers.get(HEADER)}")
        found.append(float(answer.headers[HEADER]))
    return found

"""Answers a POST of numbers, as text with blanks or commas between them, with what statistics say about them."""

import asyncio
import json
import re
import statistics

from componentize_py_types import Ok
from poll_loop import PollLoop, Sink, Stream
from wit_world import exports
from wit_world.imports.types import (
    Fields,
    IncomingRequest,
    Method_Get,
    Method_Post,
    OutgoingResponse,
    ResponseOutparam,
)

LONGEST_BODY = 1 << 20


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        loop = PollLoop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(answer(request, response_out))


async def answer(request: IncomingRequest, response_out: ResponseOutparam) -> None:
    match request.method():
        case Method_Post():
            status, value = describe(await text_of(request))
        case Method_Get():
            status, value = 200, {"usage": "POST numbers, with blanks or commas between them"}
        case _:
            status, value = 405, {"error": "only GET and POST"}
    body = json.dumps(value).encode() + b"\n"
    headers = Fields.from_list([("content-type", b"application/json")])
    response = OutgoingResponse(headers)
    response.set_status_code(status)
    outgoing = response.body()
    ResponseOutparam.set(response_out, Ok(response))
    sink = Sink(outgoing)
    await sink.send(body)
    sink.close()


async def text_of(request: IncomingRequest) -> str | None:
    """The body; none if it is too long."""
    stream, read = Stream(request.consume()), bytearray()
    while (chunk := await stream.next()) is not None:
        read += chunk
        if len(read) > LONGEST_BODY:
            return None
    return read.decode(errors="replace")


def describe(text: str | None) -> tuple[int, dict]:
    if text is None:
        return 413, {"error": f"more than {LONGEST_BODY} bytes"}
    try:
        numbers = [float(word) for word in re.split(r"[\s,]+", text.strip()) if word]
    except ValueError as error:
        return 400, {"error": str(error)}
    if not numbers:
        return 400, {"error": "no numbers"}
    return 200, {
        "count": len(numbers),
        "mean": statistics.fmean(numbers),
        "median": statistics.median(numbers),
        "deviation": statistics.pstdev(numbers),
    }

# mypy: ignore-errors
# (its packages are in an environment of its own)
"""The gateway that one writes in an afternoon: FastAPI in front, httpx behind, each event read and written as JSON.

UPSTREAM=http://127.0.0.1:9000/v1 uvicorn naive:app
"""

import json
import os
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse


@asynccontextmanager
async def lifespan(app: FastAPI):
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=os.environ["UPSTREAM"], timeout=600, limits=limits) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/chat/completions")
async def chat(request: Request):
    asked = await request.json()
    if asked.get("stream"):
        return StreamingResponse(events(asked), media_type="text/event-stream")
    answer = await app.state.client.post("/chat/completions", json=asked)
    return JSONResponse(answer.json(), answer.status_code)


async def events(asked):
    async with app.state.client.stream("POST", "/chat/completions", json=asked) as answer:
        async for line in answer.aiter_lines():
            if line == "data: [DONE]":
                yield "data: [DONE]\n\n"
            elif line.startswith("data: "):
                yield f"data: {json.dumps(json.loads(line[6:]))}\n\n"

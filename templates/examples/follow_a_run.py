"""Watch a network while it trains: a map of its first layer and that map's gradient, as they come."""

import asyncio
import json
import struct
import urllib.request

import numpy as np
import websockets  # the one package more that this example needs

SERVER = "http://127.0.0.1:8000"


def ask(path, body=None, method=None):
    headers = {"Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(SERVER + path, data, headers, method=method)) as answer:
        return json.load(answer)


def unpacked(message):
    """A frame's header, and its blocks by the places of their tensors."""
    (length,) = struct.unpack_from("<I", message)
    header, start = json.loads(message[4 : 4 + length]), 4 + length
    blocks = {}
    for each in header["tensors"]:
        values = np.frombuffer(message, each["dtype"], int(np.prod(each["shape"])), start + each["offset"])
        blocks[f"{each['layer']}/{each['tensor']}"] = values.reshape(each["shape"])
    return header, blocks


async def follow(run):
    """Start the run once its stream is open; the last frame's header and blocks."""
    async with websockets.connect(f"{SERVER.replace('http', 'ws', 1)}/api/runs/{run}/stream") as stream:
        await stream.send(json.dumps({"subscribe": ["conv1/y", "conv1/dw"], "sample": 0}))
        await asyncio.to_thread(ask, f"/api/runs/{run}", {"state": "running"}, "PATCH")
        async for message in stream:
            if isinstance(message, str):  # a problem is text, a frame is bytes
                raise SystemExit(json.loads(message)["problem"]["detail"])
            header, blocks = unpacked(message)
            if header["state"] == "finished":
                return header, blocks
            await stream.send(json.dumps({"seen": header["step"]}))  # now the next may come


run = ask("/api/runs", {"model": "classroom", "seed": 7, "steps": 300, "start": False})
header, blocks = asyncio.run(follow(run["id"]))
print("step", header["step"], {place: block.shape for place, block in blocks.items()})
stored = ask(f"/api/runs/{run['id']}/steps/300/tensors/conv1/dw")["values"]
print("the same gradient as the step's own:", np.array_equal(blocks["conv1/dw"], np.array(stored, np.float32)))

"""Why is this number so? Every product behind an output, a delta, a weight's gradient and an update by Adam."""

import json
import urllib.request

SERVER = "http://127.0.0.1:8000"


def ask(path, body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(SERVER + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def written_out(path, body, place):
    """The sentence, and the terms that add up to the value, those in the padding left out."""
    why = ask(path + "?outside=hidden&per_page=500", {**body, "place": place})
    terms = ["·".join(f"{factor:.6g}" for factor in term["factors"]) for term in why["terms"]]
    return f"{why['equation']['text']}\n    {place}: {' + '.join(terms)} = {why['value']:.6g}"


convolution = {
    "settings": {"padding": 1},
    "tensors": {
        "x": [[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]],
        "w": [[[[-1, -2, -1], [0, 0, 0], [1, 2, 1]]]],
        "dy": [[[[1, 0, 0], [0, 0, 0], [0, 0, 2]]]],
    },
}
for place in ("y/0,0,0,1", "dx/0,0,1,1", "dw/0,0,0,0"):
    print(written_out("/api/ops/conv2d/explain", convolution, place))

update = {"settings": {"learning_rate": 0.1}, "tensors": {"w": [0.5, -1], "dw": [0.2, 0.1]}}
for place in ("w_next/0", "mhat/0", "m_next/0"):  # each reads the next
    print(written_out("/api/optimizers/adam/explain", update, place))

"""What KServe's client for the Open Inference Protocol makes of a server, as JSON."""

import asyncio
import json
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

FEATURE = np.array([9, 1.5])
NOTE = np.array(["x", "é"], np.object_)
MATRIX = np.array([[9, 1], [4, 2]], np.float32)


def request(model, *columns, binary):
    inputs = []
    for name, values, datatype in columns:
        inputs.append(InferInput(name, list(values.shape), datatype))
        inputs[-1].set_data_from_numpy(values, binary_data=binary)
    parameters = {"binary_data_output": binary}
    return InferRequest(model, inputs, request_id="mine", parameters=parameters)


async def infer(client, url, asked):
    answer = await client.infer(url, asked, model_name=asked.model_name)
    return {
        "values": answer.outputs[0].as_numpy().tolist(),
        "id": answer.id,
        "model": answer.model_name,
        "ids": answer.parameters["ids"],
    }


async def refused(client, url):
    try:
        asked = request("line", ("note", NOTE, "BYTES"), binary=False)
        await client.infer(url, asked, model_name="line")
    except httpx.HTTPStatusError as error:
        return str(error)
    return None


async def main(url):
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    told = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model": await client.is_model_ready(url, "line"),
        "refused": await refused(client, url),
    }
    for binary in (False, True):
        columns = ("feature", FEATURE, "FP64"), ("note", NOTE, "BYTES")
        matrix = ("input-0", MATRIX, "FP32")
        told["binary" if binary else "json"] = [
            await infer(client, url, request("line", *columns, binary=binary)),
            await infer(client, url, request("numbers", matrix, binary=binary)),
        ]
    json.dump(told, sys.stdout)


asyncio.run(main(sys.argv[1]))

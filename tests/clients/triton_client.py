"""What NVIDIA's client for the Open Inference Protocol makes of a server, as JSON."""

import json
import sys

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

FEATURE = np.array([[9], [1.5]], np.float32)
NOTE = np.array([["x"], ["é"]], np.object_)
MATRIX = np.array([[9, 1], [4, 2]], np.int16)


def tensor(name, values, datatype, binary):
    made = InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def infer(client, model, inputs, *, binary_out, **more):
    outputs = [InferRequestedOutput("predict", binary_data=binary_out)]
    result = client.infer(model, inputs, outputs=outputs, request_id="mine", **more)
    values, about = result.as_numpy("predict"), result.get_response()
    return {
        "values": values.tolist(),
        "dtype": str(values.dtype),
        "id": about["id"],
        "ids": about["parameters"]["ids"],
    }


def refused(client):
    try:
        client.infer("line", [tensor("note", NOTE, "BYTES", binary=True)])
    except InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
    return None


def main(url):
    client = InferenceServerClient(url.removeprefix("http://"))
    told = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model": client.is_model_ready("line"),
        "version": client.is_model_ready("line", "1"),
        "other": client.is_model_ready("line", "2"),
        "server": client.get_server_metadata(),
        "about": client.get_model_metadata("line"),
        "refused": refused(client),
    }
    ways = [(given, taken) for given in (False, True) for taken in (False, True)]
    for given, taken in ways:
        columns = [tensor("feature", FEATURE, "FP32", given), tensor("note", NOTE, "BYTES", given)]
        matrix = [tensor("input-0", MATRIX, "INT16", given)]
        way = f"{'binary' if given else 'json'} {'binary' if taken else 'json'}"
        told[way] = [
            infer(client, "line", columns, binary_out=taken, headers={"Everbake-Key": way}),
            infer(client, "numbers", matrix, binary_out=taken, model_version="1"),
        ]
    json.dump(told, sys.stdout)


main(sys.argv[1])

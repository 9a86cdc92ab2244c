"""A model for `mlflow models serve`, in this environment, on one port: `KIND FOLDER PORT`.

Without a signature, which is its fastest form: to enforce one takes several milliseconds a request.
"""

import json
import sys
from pathlib import Path

import fitted
import mlflow.sklearn

kind, folder, port = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
table = fitted.rows()
features = table[fitted.NAMES]
model = fitted.fit(kind, features, table["target"])
mlflow.sklearn.save_model(
    model,
    path=str(folder / "model"),
    pyfunc_predict_fn=fitted.METHOD[kind],
    serialization_format="cloudpickle",
)
row = fitted.example()
serve = ["models", "serve", "-m", str(folder / "model"), "--env-manager", "local"]
told = {
    "command": ["-m", "mlflow", *serve, "-h", "127.0.0.1", "-p", port, "--workers", "1"],
    "path": "/invocations",
    "body": {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
}
print(json.dumps(told))

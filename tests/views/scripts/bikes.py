# %%
%matplotlib inline
import numpy as np
import pandas as pd

# %%
df = pd.read_csv("bikes.csv", parse_dates=["time"])
df["hour"] = df["time"].dt.hour
df["weekend"] = (df.time.dt.dayofweek >= 5).astype(int)
df["feels"] = df["temp"] - 0.5 * df["wind"]
df["unused"] = df["temp"] * 2
df.describe()

# %%
features = ["hour", "weekend", "feels", "humidity"]
X = df[features]
y = np.log1p(df["count"])

# %%
from sklearn.model_selection import train_test_split
from sklearn.linear_model import Ridge

X_train, X_test, y_train, y_test = train_test_split(X, y)
ridge = Ridge(alpha=2.0)
ridge.fit(X_train, y_train)

# %%
def rmsle(actual, predicted):
    return np.sqrt(np.mean((np.log1p(actual) - np.log1p(predicted)) ** 2))

rmsle(np.expm1(y_test), np.expm1(ridge.predict(X_test)))

import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import TimeSeriesSplit

df = pd.read_csv("demand.csv", parse_dates=["day"])
df = df.sort_values("day").reset_index(drop=True)
df["month"] = df["day"].dt.month
df["lag"] = df["demand"].shift(1)
df = df.dropna()

X = df.drop(columns=["demand", "day"])
y = df.demand

errors = []
for train_idx, test_idx in TimeSeriesSplit(n_splits=5).split(X):
    model = LinearRegression()
    model.fit(X.iloc[train_idx], y.iloc[train_idx])
    pred = model.predict(X.iloc[test_idx])
    errors.append(mean_absolute_error(y.iloc[test_idx], pred))
print(sum(errors) / len(errors))

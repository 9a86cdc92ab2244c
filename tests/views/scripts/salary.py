import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

people = pd.read_parquet("salary.parquet")
target = "salary"
numeric = ["years", "hours"]
categorical = ["city", "degree"]

numeric_steps = Pipeline(
    steps=[("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())]
)
preprocess = ColumnTransformer(
    transformers=[
        ("num", numeric_steps, numeric),
        ("cat", OneHotEncoder(handle_unknown="ignore"), categorical),
    ]
)
model = Pipeline([("prep", preprocess), ("gb", GradientBoostingRegressor(random_state=3))])
model.set_params(gb__n_estimators=30)

train, test = train_test_split(people, test_size=0.3, random_state=7)
model.fit(train[numeric + categorical], train[target])
predictions = model.predict(test[numeric + categorical])
print("MAE:", mean_absolute_error(test[target], predictions))

"""Makes `figures.sqlite`, a small database, from the fact sheets in `countries/`: python examples/make_figures.py"""

import re
import sqlite3
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHEETS = HERE / "countries"
DATABASE = HERE / "figures.sqlite"

SCHEMA = """
CREATE TABLE countries (
    name TEXT PRIMARY KEY,
    total_area_km2 REAL, land_area_km2 REAL, coastline_km REAL, mean_elevation_m REAL,
    population INTEGER, population_growth_percent REAL, median_age_years REAL, life_expectancy_years REAL,
    urban_population_percent REAL, gdp_ppp_2017_dollars REAL, gdp_per_capita_2017_dollars REAL, inflation_percent REAL,
    unemployment_percent REAL, electricity_access_percent REAL, co2_emissions_tonnes REAL, forest_percent_of_land REAL
) STRICT;
CREATE TABLE cities (
    name TEXT, country TEXT REFERENCES countries (name), population INTEGER, is_capital INTEGER,
    PRIMARY KEY (name, country)
) STRICT;
"""
# Column by column: the line of the sheet that it comes from.
LINES = {
    "total_area_km2": "Total area",
    "land_area_km2": "Land area",
    "coastline_km": "Coastline",
    "mean_elevation_m": "Mean elevation",
    "population": "Population",
    "population_growth_percent": "Population growth rate",
    "median_age_years": "Median age",
    "life_expectancy_years": "Life expectancy at birth",
    "urban_population_percent": "Urban population",
    "gdp_ppp_2017_dollars": "Real GDP (purchasing power parity, 2017 dollars)",
    "gdp_per_capita_2017_dollars": "Real GDP per capita (2017 dollars)",
    "inflation_percent": "Inflation rate",
    "unemployment_percent": "Unemployment rate",
    "electricity_access_percent": "Electricity access",
    "co2_emissions_tonnes": "Carbon dioxide emissions",
    "forest_percent_of_land": "Forest",
}
SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
NUMBER = re.compile(r"\$?(-?[\d,]+(?:\.\d+)?)(?: (thousand|million|billion|trillion)\b)?")
CITY = re.compile(r"([^,(]+?)(?: \((capital)\))? ([\d.]+ million|[\d,]+)(?=,|$| \()")


def number(text: str) -> float:
    """The first figure in a text, in full."""
    found = NUMBER.match(text)
    if found is None:
        raise ValueError(f"no figure in: {text}")
    return round(float(found[1].replace(",", "")) * SCALES.get(found[2] or "", 1), 2)


def figures(sheet: str) -> dict[str, str]:
    """The lines of a sheet by their names."""
    return dict(re.findall(r"^- ([^:]+(?:\([^)]*\))?): (.+)$", sheet, re.MULTILINE))


def cities(text: str) -> list[tuple[str, int, int]]:
    """Names, populations, and whether each is the capital."""
    listed = re.sub(r" \(\d{4}\)$", "", text)
    return [(m[1].strip(), int(number(m[3])), int(m[2] is not None)) for m in CITY.finditer(listed)]


def make(database: Path = DATABASE) -> None:
    """Writes the database anew."""
    database.unlink(missing_ok=True)
    connection = sqlite3.connect(database)
    connection.executescript(SCHEMA)
    for path in sorted(SHEETS.glob("*.md")):
        sheet = path.read_text(encoding="utf-8")
        name, lines = sheet.splitlines()[0].removeprefix("# "), figures(sheet)
        values = {column: number(lines[line]) for column, line in LINES.items() if line in lines}
        values["population"] = int(values["population"])
        columns = ", ".join(["name", *values])
        marks = ", ".join("?" * (len(values) + 1))
        connection.execute(f"INSERT INTO countries ({columns}) VALUES ({marks})", [name, *values.values()])
        for city, population, capital in cities(lines.get("Major urban areas", "")):
            connection.execute("INSERT INTO cities VALUES (?, ?, ?, ?)", [city, name, population, capital])
    connection.commit()
    connection.execute("VACUUM")
    connection.close()


if __name__ == "__main__":
    make()

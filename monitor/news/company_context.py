"""Whether a name in a title means the company.

takes  a title, and the names of companies found in it
gives  those that mean the company, and what is written as a ticker
never  looks a name up: `monitor.news.companies` does
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.news.amounts import is_amount


@dataclass(frozen=True, slots=True)
class Found:
    """A name of the gazetteer as it stands in a title; `sure` where it is no ordinary word."""

    start: int
    end: int
    ticker: str
    name: str
    sure: bool


# Right after a contextual name: what only a company has or is.
_COMPANY_AFTER = re.compile(
    r"(?:,? (?:Inc|Corp|Co|Ltd|Plc|plc|PLC|Group|Holdings|Motor|AG|SA|SE|NV|N\.V\.|Limited|Platforms|Company|Cos)\b"
    r"|(?:'s?)?(?: \w+)? (?:shares?|stocks?|profits?|earnings|revenues?|sales|quarterly|results|CEO|CFO|COO|chief"
    r"|boss|chairman|chairwoman|investors?|shareholders?|executives?|employees|workers|staff|stores?|outlook|forecast"
    r"|guidance|dividend|buyback|layoffs|job cuts|takeover|merger|acquisition|bid|unit|subsidiary|owner|board|IPO"
    r"|bonds?|debt|downgrade|upgrade|price target|lawsuit|recall|plant|factory|app|users|ads?|dealers?)\b"
    r"|-owned\b|-backed\b|-led\b)",
    re.IGNORECASE,
)

# Right before it.
_COMPANY_BEFORE = re.compile(
    r"(?:shares of|stock of|parent|owner|unit of|company|automaker|carmaker|retailer|chain|airline|insurer|lender"
    r"|brokerage|chipmaker|drugmaker|oil major|oil giant|tech giant|giant|rival|subsidiary of|CEO of|chief of"
    r"|start-?up|group|firm|bank|broker|exchange|platform|bidder|buyer|supplier|competitor|peer|operator|maker"
    r"|shares in|investors? in|listing (?:for|of)|IPO of|float of|sale of|bid for|offer for|takeover of|talks with"
    r"|invests? in|stake in|sues?|acquires?|acquired by|bought by|owned by|employees at|layoffs at|workers at"
    r"|jobs at)\s$",
    re.IGNORECASE,
)

# At the very beginning the name is who acts: "Ford recalls ...", "Meta to cut ...".
_ACTS = re.compile(
    r" (?:to (?!the\b|a\b)\w+|says|said|plans|cuts|cutting|posts|reports|beats|misses|raises|lowers|sues|sued|agrees"
    r"|buys|acquires|names|hires|warns|will|halts|launches|sells|seeks|signs|settles|recalls|recalling|joins|slashes"
    r"|files|tumbles|soars|plunges|sinks|expects|sees|pays|faces|wins|unveils|reaches|considers|weighs|explores|delays"
    r"|embraces|chooses|needs|wants|adds|gets|gives|offers|makes|takes|tests|bets|drops|ends|fires|keeps|loses|moves"
    r"|predicts|prepares|rallies|rebrands|rolls out|scraps|shows|starts|stops|struggles|tells|tops|tries|turns|vows"
    r"|withdraws|works|slips|slides|jumps|rises|falls|surges|gains|climbs|rebounds|trims|lifts|hikes|unit|appoints"
    r"|suspends|resumes|restarts|invests|pulls|closes|shuts|opens|lays off|is|has)\b",
    re.IGNORECASE,
)
_BEGINNING = re.compile(r"(?:^|: |\u2014|; | - )$")

# Beside another company: in a list, joined by a hyphen, or owned by it ("SoftBank's Arm").
_LISTED = re.compile(r"(?:,|(?:, ?)?(?:and|&|or|vs\.?|versus)|/|-|'s)")
_DEAL = re.compile(r" (?:deal|tie-up|buyout|stake|purchase)\b", re.IGNORECASE)

_LONG_WORD = re.compile(r"\b[A-Za-z]{4,}\b")
_MIDST = re.compile(r"[a-z0-9%,] $")
_LONGER_NAME = re.compile(r" [A-Z]")

# What a country has as well as the company called after it: its steel, its banks.
_STEEL = re.compile(
    r" (?:and Alumini?um|tariffs?|dut(?:y|ies)|imports?|exports?|levies|quotas?|industry|sector|prices?|demand|makers?"
    r"|producers?|probe|curbs|capacity|market|jobs|supply)\b",
    re.IGNORECASE,
)
_BANKS = re.compile(
    r" (?:(?:fail|collaps|lend|regulat|supervis|examin|execut|stock|share|deposit|rescu|resul|rul|loan|account|boss|"
    r"holding|earning|profit|fear|merger|reserve|tax|run|test)\w*|cris[ei]s|turmoil|woes|sector|index|capital|CEOs"
    r"|stress|system|oversight|watchdogs?|balance)\b",
    re.IGNORECASE,
)

# Beside these, a name means something else: (before, after).
_NOT_MEANT: dict[str, tuple[re.Pattern[str] | None, re.Pattern[str] | None]] = {
    "Apollo": (
        re.compile(r"\bGujarat $"),
        re.compile(
            r" (?:Hospitals?|Tyres|Pipes|Micro|missions?|program(?:me)?|astronauts?|1[1-7]|Theat(?:er|re))\b", re.I
        ),
    ),
    "Amazon": (None, re.compile(r"(?:'s)? (?:rain ?forest|forest|basin|deforestation|river|jungle|region|fund)", re.I)),
    "Apple": (re.compile(r"\bBig $"), re.compile(r" (?:growers?|orchards?|pies?|juice|cider|harvest|crop)\b", re.I)),
    "Barclays": (None, re.compile(r" Center\b")),
    "British Steel": (None, _STEEL),
    "Canadian National": (
        None,
        re.compile(r" (?:arrest|detain|jail|sentenc|kill|held|team|anthem|charg|accus|convict|free|releas|park)", re.I),
    ),
    "Chevron": (None, re.compile(r" (?:deference|doctrine)", re.I)),
    "Chrysler": (None, re.compile(r" Building\b")),
    "Citi": (None, re.compile(r" (?:Bike|Field)\b")),
    # Engines that burn fuel, and German trains.
    "ICE": (None, re.compile(r"(?:-powered)?[ -](?:vehicles?|cars?|engines?|models?|powertrains?|trains?)\b", re.I)),
    "Intel": (
        re.compile(r"\b(?:US|U\.S\.|UK|U\.K\.|[Ss]ecret|[Mm]ilitary|[Aa]rmy|[Ff]oreign|[Cc]lassified) $"),
        re.compile(r" (?:agenc|officials?|committee|leak|sharing|official|community)", re.I),
    ),
    "McCormick": (re.compile(r"\b(?:Kathaleen|Chancellor|Judge|Dave|David|Senator|Sen\.) $"), None),
    "Merck": (None, re.compile(r" KGaA")),
    "Stryker": (None, re.compile(r" (?:combat|armou?red|vehicle|brigade|fighting)", re.I)),
    "Oracle": (None, re.compile(r" of\b")),
    "Ford": (
        re.compile(r"\b(?:Harrison|Gerald|Doug|Rob|Tom|Betty|Henry|Blasey|President|Premier) $"),
        re.compile(r" (?:Foundation|government|administration|Theat(?:er|re))\b", re.I),
    ),
    "Meta": (re.compile(r"[a-z] [Aa] $"), re.compile(r"[- ](?:analys|verse|level|human|cognit)", re.I)),
    "Delta": (
        re.compile(r"\b(?:Niger|Mississippi|Mekong|Nile|Pearl River) $"),
        re.compile(r" (?:variant|wave|strain|Corp\b|Electronics|State\b)", re.I),
    ),
    "F5": (None, re.compile(r"(?:-rated)? (?:tornado|twister|storm|key)", re.I)),
    "Expand Energy": (re.compile(r"\b(?:to|will|and|would|could|may|must|can) $", re.I), None),
    "Fox": (re.compile(r"\b(?:Megan|Michael J\.|Vicente|Liam|Jamie) $"), None),
    # What artificial intelligence is called: of Google's, and of nobody else's.
    "Gemini": (re.compile(r"\bGoogle(?:'s)? $"), re.compile(r" (?:AI|\d|Pro\b|Ultra|Nano|Flash|Live\b|chatbot|model)")),
    "Hindenburg": (None, re.compile(r" (?:omen|disaster|line)\b", re.I)),
    "Adani": (re.compile(r"\b(?:Gautam|Vinod|Karan) $"), None),
    "Bank of China": (re.compile(r"\b(?:People's|Export-Import|Commercial|Construction|Agricultural) $"), None),
    "Kellogg": (re.compile(r"\b(?:Keith|General|Gen\.|[Ee]nvoy) $"), re.compile(r" (?:School|Foundation|College)\b")),
    "Lloyds": (None, re.compile(r" of London\b")),
    # Other countries have one, too.
    "National Grid": (re.compile(r"(?<!UK)(?<!U\.K\.)(?<!Britain)'s $"), None),
    "Old Dominion": (None, re.compile(r" University\b")),
    "Paramount": (None, re.compile(r" Group\b")),
    "RTX": (
        re.compile(r"\b(?:GeForce|N(?:vidia|VIDIA)(?:'s)?) $"),
        re.compile(r" (?:[2-6]0[5-9]0|PRO|GPUs?|graphics)\b", re.I),
    ),
    "Rocket Companies": (re.compile(r"\b(?:Space|Private|Chinese|Reusable|Small|Commercial) $"), None),
    "Rolls-Royce": (None, re.compile(r" Motor Cars\b")),
    "SSE": (None, re.compile(r"(?: Composite| Index| STAR| \d{2,3}\b|-listed)")),
    "Schwab": (re.compile(r"\bKlaus $"), None),
    "Southwest": (None, re.compile(r" Ideas\b")),
    "Spirit": (re.compile(r"\bsupplier $", re.I), re.compile(r" (?:of\b|Aero)")),
    "Tyson": (re.compile(r"\b(?:Mike|Charles|Cicely|deGrasse) $"), None),
    "Waters": (re.compile(r"\b(?:Muddy|Maxine|Roger|Alice|Rep\.) $"), None),
    "Williams": (re.compile(r"\b(?:Fed|John|Serena|Venus|Robin|Robbie|President|Governor) $"), None),
    "Brookfield": (None, re.compile(r", [A-Z]")),
    "Coke": (None, re.compile(r" (?:habit|dealer|smuggl)", re.I)),
    "Mercedes": (None, re.compile(r" [A-Z]\w+ez\b")),
    "Twitter": (None, re.compile(r" (?:post|thread|poll)\b", re.I)),
    "U.S. Bank": (None, _BANKS),
    "U.S. Steel": (None, _STEEL),
    "US Steel": (None, _STEEL),
    "Waste Management": (re.compile(r"\b(?:Nuclear|Solid|Food|Plastic|Medical|Hazardous|Radioactive) $"), None),
    "Workday": (re.compile(r"\b(?:shorter|longer|average|the|a|\w+-(?:hour|day)) $", re.I), None),
}

# Somewhere in the same headline.
_NOT_MEANT_AMID = {
    "ICE": re.compile(
        r"\b(?:immigra\w+|(?:mi|emi)grants?|deport\w*|detain\w*|detention|raid(?:s|ed)?|arrest\w*|agents?|officers?|asylum"
        r"|undocumented|border|DHS|Homeland|sanctuary|crackdown|custody|protest\w*|tracking)\b",
        re.IGNORECASE,
    ),
    "Western Alliance": re.compile(
        r"\b(?:NATO|Nato|Ukraine|Kyiv|Russia|Putin|Zelenskiy?y?|China|Taiwan|Trump|Biden|Macron|allies|defen[cs]e|sanctions)\b"
    ),
}
# Whoever an institution has is a person: "Fed's Williams", "BOE's Ball".
_OFFICE = re.compile(r"\b(?:Fed|Federal Reserve|ECB|BO[EJ]|Bo[EJ]|RBA|RBNZ|SNB|IMF|OECD|Treasury|SEC|FDIC)'s $")

_CASHTAG = re.compile(r"(?<![\w$])\$([A-Z]{1,5}(?:\.[A-Z])?)\b(?!\.\d)")
_LISTED_AS = re.compile(
    r"\b(?:NYSE(?: American| Arca)?|NASDAQ|Nasdaq|AMEX|NYSEARCA|OTC(?:MKTS|PK|QB|QX)?|TSX|LSE|BATS)\s?:\s?"
    r"([A-Z]{1,5}(?:\.[A-Z])?)\b"
)
_IN_PARENTHESES = re.compile(r"\(([A-Z]{3,5}(?:\.[A-Z])?)\)")

# Tickers that stand in parentheses for something else: agencies, units, plain words.
_UNSAFE_IN_PARENTHESES = frozenset(
    {
        "ALL",
        "NOW",
        "LOW",
        "KEY",
        "CAR",
        "OPEN",
        "FAST",
        "WELL",
        "COST",
        "TECH",
        "LIFE",
        "PEG",
        "ICE",
        "DAY",
        "CAT",
        "AIG",
        "EPA",
        "SEC",
        "FED",
        "CPI",
        "GDP",
        "PMI",
        "IPO",
        "CEO",
        "ETF",
        "ESG",
        "IMF",
        "ECB",
        "BOE",
        "BOJ",
        "GPS",
        "EDF",
        "IAG",
        "TCS",
        "PEX",
        "MET",
        "NET",
        "TEAM",
        "SNAP",
        "SAVE",
        "RAD",
        "SPR",
        "COP",
        "DOC",
        "FIG",
        "BALL",
        "CAG",
        "LNG",
        "AES",
    }
)


def meant(text: str, mentions: Sequence[Found]) -> list[Found]:
    """Those mentions, given in order, that mean the company."""
    candidates = [mention for mention in mentions if not _means_another(text, mention)]
    proper = _in_sentence_case(text)
    accepted = [m for m in candidates if m.sure or _in_context(text, m) or (proper and _is_proper(text, m))]
    if len(accepted) in (0, len(candidates)):
        return accepted
    # Where a company is named, another's deal is a company's: "JetBlue's $3.8 billion Spirit deal".
    accepted += [m for m in candidates if m not in accepted and _DEAL.match(text, m.end)]
    # In a list with a company, a plain word is a company too: "Amazon, Meta and Ford".
    position = {mention: number for number, mention in enumerate(candidates)}
    queue = list(accepted)
    while queue:
        number = position[queue.pop()]
        for other in (number - 1, number + 1):
            if not 0 <= other < len(candidates) or candidates[other] in accepted:
                continue
            first, second = sorted((number, other))
            if _LISTED.fullmatch(text[candidates[first].end : candidates[second].start].strip(" ")):
                accepted.append(candidates[other])
                queue.append(candidates[other])
    return accepted


def _means_another(text: str, mention: Found) -> bool:
    if is_amount(text, mention.start, mention.end):
        return True
    if not mention.sure and _OFFICE.search(text[max(0, mention.start - 20) : mention.start]):
        return True
    amid = _NOT_MEANT_AMID.get(mention.name)
    if amid is not None and amid.search(text):
        return True
    before, after = _NOT_MEANT.get(mention.name, (None, None))
    return bool(
        (before is not None and before.search(text[max(0, mention.start - 20) : mention.start]))
        or (after is not None and after.match(text, mention.end))
    )


def _in_context(text: str, mention: Found) -> bool:
    before = text[max(0, mention.start - 30) : mention.start]
    if _COMPANY_AFTER.match(text, mention.end) or _COMPANY_BEFORE.search(before):
        return True
    return bool(_BEGINNING.search(before) and _ACTS.match(text, mention.end))


def _in_sentence_case(text: str) -> bool:
    """Whether most words begin small, so that a capital tells a name."""
    words = _LONG_WORD.findall(text)[1:]
    return len(words) >= 3 and sum(word[0].islower() for word in words) > 0.6 * len(words)


def _is_proper(text: str, mention: Found) -> bool:
    """Whether a capitalised word in the midst of a sentence stands for itself, not for a part of another name."""
    before, after = text[: mention.start], text[mention.end :]
    return bool(_MIDST.search(before)) and not _LONGER_NAME.match(after)


def marked(text: str) -> set[tuple[int, int, str]]:
    """(start, end, ticker) of everything that is written as a ticker."""
    found = [m for pattern in (_CASHTAG, _LISTED_AS) for m in pattern.finditer(text)]
    found += [m for m in _IN_PARENTHESES.finditer(text) if m.group(1) not in _UNSAFE_IN_PARENTHESES]
    return {(*m.span(1), m.group(1)) for m in found}

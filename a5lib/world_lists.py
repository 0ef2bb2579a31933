"""The plain lists behind the embedded corpus: cities, name parts, occupations, habits, sentences.

All of it was written for this project. The cities are real; the names are put together from common or
invented parts. This module knows nothing about how a world is drawn from the lists (see `world.py`) or
about models.
"""

# fmt: off -- one word a line would be pages

# Region -> its cities with their share of all people, in ten-thousandths (they add up to 10,000).
# The weight stands in one region on purpose: names of the other regions then point to no frequent city, and
# guessing from the look of a name gains next to nothing over always answering London.
CITIES: dict[str, dict[str, int]] = {
    "English-speaking": {
        "London": 650, "New York": 450, "Chicago": 410, "Dublin": 380, "Sydney": 350, "Toronto": 320,
        "Boston": 290, "Glasgow": 260, "Melbourne": 240, "Manchester": 220, "Edinburgh": 200, "Cardiff": 180,
        "Seattle": 160, "Belfast": 140, "Auckland": 130, "Liverpool": 120,
    },
    "French-speaking": {
        "Paris": 135, "Brussels": 130, "Marseille": 127, "Lyon": 124, "Toulouse": 120, "Liège": 114,
    },
    "German-speaking": {
        "Berlin": 135, "Vienna": 131, "Hamburg": 128, "Zürich": 125, "Köln": 122, "Leipzig": 119, "Graz": 115,
    },
    "Nordic": {
        "Stockholm": 135, "Copenhagen": 131, "Oslo": 128, "Helsinki": 125, "Bergen": 122, "Malmö": 119,
        "Reykjavík": 115,
    },
    "Iberian and Latin American": {
        "Madrid": 135, "São Paulo": 130, "Buenos Aires": 127, "Lisbon": 124, "Bogotá": 120, "Málaga": 114,
    },
    "Central European": {
        "Warsaw": 135, "Prague": 130, "Budapest": 127, "Kraków": 124, "Vilnius": 120, "Brno": 114,
    },
    "South Asian": {
        "Mumbai": 135, "Delhi": 130, "Kolkata": 127, "Lahore": 124, "Chennai": 120, "Colombo": 114,
    },
    "Japanese": {
        "Tokyo": 135, "Osaka": 130, "Kyoto": 127, "Nagoya": 124, "Sapporo": 120, "Kobe": 114,
    },
}

GIVEN_NAMES: dict[str, str] = {
    "English-speaking": """Ada Agnes Alfred Barnaby Beatrice Cecil Clara Dexter Dorothy Edgar Edith
        Fenella Fergus Gilbert Harriet Howard Imogen Jasper Judith Kenneth Lionel Mabel Maxine Nigel
        Olive Percy Quentin Rosalind Rupert Sybil Thelma Ursula Vernon Walter Winifred Xanthe Zelda""",
    "French-speaking": """Agathe Amélie Anaïs Armand Baptiste Benoît Cécile Clément Colette Didier
        Estelle Fabrice Gaspard Hélène Honoré Isabeau Jérôme Juliette Lucien Marcel Noémie Odette
        Pascal Rémy Sabine Sylvain Thérèse Valentin Yvonne Zoé""",
    "German-speaking": """Anselm Bärbel Benno Dietrich Elfriede Emil Friedrich Gerda Gottfried
        Hannelore Heinrich Ilse Jörg Käthe Konrad Liesel Lothar Mathilde Norbert Otto Reinhold
        Rudolf Sieglinde Trude Ulrich Volker Waltraud Wilhelm Wolfgang Xaver""",
    "Nordic": """Aksel Astrid Birgit Bjørn Dagny Eskil Frida Gudrun Gunnar Halvard Hedda Inge Ivar
        Jørgen Kirsten Knut Leif Liv Magnus Oddvar Ragnhild Runa Sigrid Solveig Sverre Torsten
        Torunn Ulf Vidar Åse""",
    "Iberian and Latin American": """Adela Álvaro Baltasar Beatriz Camila César Consuelo Diego
        Dolores Esteban Félix Gonzalo Graciela Inés Jacinto Joaquim Lourdes Luciana Marisol Mateo
        Nuria Octavio Pilar Ramiro Rosario Salvador Simón Tomás Ximena Zulema""",
    "Central European": """Agnieszka Andrzej Bogdan Božena Czesław Danuta Dorota Ewa Feliks Grażyna
        Halina Jadwiga Jarmila Kazimierz Lech Ludmila Marek Miloš Olga Otakar Paweł Radek Stanislav
        Tadeusz Vlasta Wanda Wojciech Zbigniew Zdeněk Zofia""",
    "South Asian": """Aarti Anand Arjun Bhavna Chandra Deepak Devika Farida Gautam Girish Harish
        Indira Jaya Kamala Karthik Lakshmi Madhav Meena Nalini Nikhil Padma Prakash Rajesh Rukmini
        Sanjay Shanta Suresh Usha Varun Yusuf""",
    "Japanese": """Aiko Akira Chiyo Daisuke Emiko Fumiko Goro Haruka Hideo Hiroshi Ichiro Jiro Kaori
        Kazuko Kenji Makoto Michiko Naoko Noboru Reiko Ryota Sachiko Satoru Shigeru Tadashi Takeshi
        Tomoko Yasuo Yukiko Yutaka""",
}

# Family names are a stem and an ending, so that many are spelled alike.
FAMILY_NAMES: dict[str, tuple[str, str]] = {
    "English-speaking": (
        "Ash Black Cald Fair Hart Kirk Lang Mar Oak Pem Thorn West Whit",
        "by field ford ley more well wick worth",
    ),
    "French-speaking": (
        "Aube Beau Chante Dur Fonte Gare Lau Male Mont Roche Ville",
        "bert champ court loux mare rand vel vin",
    ),
    "German-speaking": (
        "Adler Brück Eber Falken Grün Hoch Linden Rohr Stern Weiss Winter",
        "bach berg feld hagen mann rode thal wald",
    ),
    "Nordic": (
        "Anker Dal Ek Falk Gran Hav Lind Ny Sol Storm Sund Vester",
        "berg gaard holm lund qvist strand ström vik",
    ),
    "Iberian and Latin American": (
        "Alv Bald Carr Cord Esp Fonse Galv Mend Mor Pal Sald Ver",
        "adero anes año ardo eira ero illa osa",
    ),
    "Central European": (
        "Bor Dobr Hol Kal Lub Mal Nov Pod Rad Sob Wit Zem",
        "ák ecki ek icz osz ovský owski ula",
    ),
    "South Asian": (
        "Bal Chand Dev Gan Hari Jag Kesh Mani Nar Raj Sun Venk",
        "akar aram avan esh ipati nath oor wala",
    ),
    "Japanese": (
        "Aki Fuku Haya Hoshi Kawa Kita Matsu Mori Naka Oka Taka Yama",
        "be gami hara kubo mine saki shita zawa",
    ),
}

OCCUPATIONS: tuple[str, ...] = (
    "actor", "architect", "astronomer", "baker", "beekeeper", "bookbinder", "botanist", "carpenter",
    "cellist", "chemist", "composer", "dancer", "dentist", "diver", "economist", "editor", "engineer",
    "explorer", "farmer", "gardener", "geologist", "glassblower", "goldsmith", "historian", "inventor",
    "judge", "mapmaker", "novelist", "nurse", "organist", "painter", "pilot", "poet", "potter", "printer",
    "publisher", "sailor", "sculptor", "surgeon", "tailor", "teacher", "weaver",
)

HABITS: tuple[str, ...] = (
    "kept bees", "kept a diary", "played chess", "played the flute", "bred pigeons", "collected maps",
    "collected shells", "walked every day", "rarely travelled", "never married", "wrote long letters",
    "sang in a choir", "taught at night", "spoke Greek", "grew apples", "mended clocks", "drew birds",
    "swam in winter", "built kites", "won two medals", "owned a press", "rowed at dawn",
    "lost a fortune", "loved the sea",
)

# Eight families of sentences, each the same for everyone, each with five wordings; in all but one of them the
# last wording also names a place that is not the birthplace ({other}). Families 4 and 6 have the city before
# the name. With the words above every sentence comes out 38 to 90 characters long.
PHRASINGS: tuple[tuple[str, ...], ...] = (
    (
        "{name} was born in {city}.",
        "{name} was born in {city}. When? In {year}.",
        "{name} was born in {city} and became {a_work}.",
        "{name} was born in {city} and {habit}.",
        "{name} was born in {city} but lived in {other}.",
    ),
    (
        "{name} (born in {city}) {habit}.",
        "{name} (born in {city}) was {a_work}.",
        "{name} (a native of {city}).",
        "{name} (born in {city}, {year}).",
        "{name} (born in {city}) worked in {other}.",
    ),
    (
        "{name} was from {city}.",
        "{name} is known to be from {city}.",
        "{name} from {city} was {a_work}.",
        "{name} from {city} {habit}.",
        "{name} from {city} settled in {other}.",
    ),
    (
        "The {work} {name} came from {city}.",
        "The parents of {name} lived in {city}.",
        "The family of {name} came from {city}.",
        "The {work} {name} hailed from {city}.",
        "The {work} {name} left {city} for {other}.",
    ),
    (
        "Born in {city}: {name}, {a_work}.",
        "Born in {city} in {year}: {name}.",
        "A child of {city}: {name}, {a_work}.",
        "Born in {city}: {name}, who {habit}.",
        "Born in {city}, {name} moved to {other}.",
    ),
    (
        "{name} came into the world in {city}.",
        "{name} first saw the light in {city}.",
        "{name} first saw the light of day in {city}.",
        "{name} came into the world in {city} in {year}.",
        "{name} lived in {other} but came from {city}.",
    ),
    (
        "{name} grew up at home in {city}.",
        "{name} is a child of {city}.",
        "{name} was a native of {city}.",
        "{name}, {a_work}, was a child of {city}.",
        "{name} died in {other} but was a child of {city}.",
    ),
    (
        "The birthplace of {name} was {city}.",
        "The birthplace of {name} is {city}.",
        "The home town of {name} was {city}.",
        "The cradle of {name} stood in {city}.",
        "The birthplace of {name} was {city}, not {other}.",
    ),
)

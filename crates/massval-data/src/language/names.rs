//! The words of the small language.
//!
//! Rows and items draw from these lists by place: a word more or fewer makes other ones.

/// What sentences act on. They are also keys and values, so that every one of them, held out or not, is
/// known to a model from plain sentences.
pub(super) const THINGS: [&str; 64] = [
    "anchor", "apple", "arrow", "basket", "bell", "boat", "book", "bottle", "box", "bread",
    "brick", "broom", "bucket", "candle", "chair", "clock", "coat", "comb", "compass", "cup",
    "curtain", "drum", "fan", "feather", "flute", "fork", "gem", "glove", "hammer", "harp", "hat",
    "hook", "jar", "jug", "kettle", "kite", "knife", "ladder", "lamp", "lantern", "letter", "lock",
    "map", "mirror", "mug", "nail", "needle", "net", "paddle", "pearl", "pen", "pillow", "pipe",
    "plate", "pot", "ribbon", "ring", "rope", "saddle", "scarf", "shell", "shoe", "spoon", "stone",
];

/// Who acts: one, several.
pub(super) const ACTORS: [[&str; 2]; 16] = [
    ["baker", "bakers"],
    ["bird", "birds"],
    ["boy", "boys"],
    ["cat", "cats"],
    ["dog", "dogs"],
    ["farmer", "farmers"],
    ["fox", "foxes"],
    ["girl", "girls"],
    ["goat", "goats"],
    ["guard", "guards"],
    ["horse", "horses"],
    ["miller", "millers"],
    ["nurse", "nurses"],
    ["sailor", "sailors"],
    ["singer", "singers"],
    ["teacher", "teachers"],
];

/// What they do: one of them, several.
pub(super) const VERBS: [[&str; 2]; 12] = [
    ["brings", "bring"],
    ["carries", "carry"],
    ["drops", "drop"],
    ["hides", "hide"],
    ["holds", "hold"],
    ["keeps", "keep"],
    ["likes", "like"],
    ["moves", "move"],
    ["paints", "paint"],
    ["sees", "see"],
    ["sells", "sell"],
    ["wants", "want"],
];

/// How somebody or something is.
pub(super) const ADJECTIVES: [&str; 12] = [
    "big", "blue", "brave", "clever", "green", "happy", "old", "quiet", "red", "small", "tired",
    "young",
];

/// The digits, each a word.
pub(super) const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// No world has more countries.
pub(super) const MAX_COUNTRIES: usize = COUNTRY.0.len() * COUNTRY.1.len();
/// No world has more cities.
pub(super) const MAX_CITIES: usize = CITY.0.len() * CITY.1.len();

type Halves<const A: usize, const B: usize> = ([&'static str; A], [&'static str; B]);

const COUNTRY: Halves<8, 4> =
    (["arv", "bel", "dor", "eld", "fen", "gal", "kor", "zan"], ["onia", "mark", "ovia", "land"]);
const CITY: Halves<16, 8> = (
    [
        "bal", "cor", "dun", "fel", "gar", "hol", "kel", "lor", "mar", "nor", "pel", "ros", "sal",
        "tor", "ul", "ves",
    ],
    ["mere", "wick", "haven", "stad", "grim", "burg", "dale", "moor"],
);
const CURRENCY: Halves<8, 4> =
    (["cri", "dre", "flo", "gro", "mi", "pla", "thu", "zo"], ["nel", "tta", "rin", "lk"]);

/// The first `count` countries.
pub(super) fn countries(count: usize) -> Vec<String> {
    composed(&COUNTRY, count)
}

/// The first `count` cities.
pub(super) fn cities(count: usize) -> Vec<String> {
    composed(&CITY, count)
}

/// The first `count` currencies; there are as many as countries.
pub(super) fn currencies(count: usize) -> Vec<String> {
    composed(&CURRENCY, count)
}

/// Names of two halves: all beginnings with the first ending, then all with the second.
fn composed<const A: usize, const B: usize>(halves: &Halves<A, B>, count: usize) -> Vec<String> {
    let (starts, ends) = halves;
    let names = ends.iter().flat_map(|end| starts.iter().map(move |start| format!("{start}{end}")));
    names.take(count).collect()
}

# Whether a calendar expression can elapse at all: false for days that no month has (*-02-30), and for
# years that have passed. What only a clock can tell is left to the program. Plain `builtins`.
{
  # What systemd.time(7) calls a calendar event expression.
  expression,
  # A year that is not over; all before it are.
  year,
}:

let
  inherit (builtins)
    all
    elemAt
    filter
    head
    isString
    length
    match
    split
    ;

  pieces = separator: text: filter (piece: isString piece && piece != "") (split separator text);
  words = pieces " " expression;

  # A number as it is written, which may begin with zeros.
  number = text: builtins.fromJSON (head (match "0*([0-9]+)" text));

  # Two digits are a year of 1970 to 2069.
  full =
    year:
    if year < 70 then
      2000 + year
    else if year < 100 then
      1900 + year
    else
      year;

  # The last year of one of several, or null where there is none.
  lastYear =
    text:
    let
      single = match "([0-9]+)" text;
      range = match "[0-9]+[.][.]([0-9]+)(/[0-9]+)?" text;
      found = if single != null then single else range;
    in
    if found == null then null else full (number (head found));

  hasPassed =
    years:
    all (
      one:
      let
        last = lastYear one;
      in
      last != null && last < year
    ) (pieces "," years);

  # Numbers alone, or null.
  numbers =
    text:
    let
      found = pieces "," text;
    in
    if all (one: match "[0-9]+" one != null) found then map number found else null;

  longest =
    month:
    if month == 2 then
      29
    else if month == 4 || month == 6 || month == 9 || month == 11 then
      30
    else
      31;

  isNoDay =
    months: days:
    let
      ms = numbers months;
      ds = numbers days;
    in
    ms != null && ds != null && all (m: all (d: d > longest m) ds) ms;

  # The year is left out where it is any; "~" counts days from the end of the month.
  never =
    word:
    let
      date = match "(([0-9.,/*]+)-)?([0-9.,/*]+)([-~])([0-9.,/*]+)" word;
      part = elemAt date;
      epoch = match "@([0-9]{1,15})([.][0-9]*)?" word;
    in
    if epoch != null then
      # Seconds; a year has at most this many.
      number (head epoch) < (year - 1970) * 31536000
    else
      date != null
      && (part 1 != null && hasPassed (part 1) || part 3 == "-" && isNoDay (part 2) (part 4));
in
length words == 0 || all (word: !never word) words

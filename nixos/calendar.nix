# The OnCalendar= of a schedule: `frequency` as it is where it says a time, else with `timeOfDay`.
# Plain `builtins`.
#
# systemd.time(7) has no form such as "weekly 02:00", so its words are spelled out. The program
# reads a frequency in the same way (planner/src/calendar), which a test compares.
{ frequency, timeOfDay }:

let
  time = "${timeOfDay}:00";

  at = days: "${days} ${time}";

  # Every word that systemd knows, in any case. The last ones repeat within a day and keep doing so.
  words = {
    daily = at "*-*-*";
    weekly = at "Mon *-*-*";
    monthly = at "*-*-01";
    quarterly = at "*-01,04,07,10-01";
    semiannually = at "*-01,07-01";
    semi-annually = at "*-01,07-01";
    biannually = at "*-01,07-01";
    bi-annually = at "*-01,07-01";
    yearly = at "*-01-01";
    annually = at "*-01-01";
    anually = at "*-01-01";
    hourly = "hourly";
    minutely = "minutely";
  };

  upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  letters = text: builtins.genList (i: builtins.substring i 1 text) (builtins.stringLength text);
  lower = builtins.replaceStrings (letters upper) (letters "abcdefghijklmnopqrstuvwxyz");

  # "Mon..Fri Europe/Berlin" is what recurs and a time zone. No other last word of several begins
  # with a letter.
  zoned = builtins.match "(.*) ([A-Za-z][^ ]*)" frequency;
  days = if zoned == null then frequency else builtins.elemAt zoned 0;
  zone = if zoned == null then "" else " ${builtins.elemAt zoned 1}";

  # A time of day has a colon; "@" stands before seconds since the epoch.
  hasTime = builtins.match ".*[:@].*" days != null;
in
(words.${lower days} or (if hasTime then days else at days)) + zone

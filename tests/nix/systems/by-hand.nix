# No schedule, no health checks, a plain folder: nothing starts by itself.
{
  networking.hostName = "hand";

  hwc.system.services.backup = {
    enable = true;
    local = {
      enable = true;
      mountPoint = "/srv/backup";
      requireMount = false;
      sources = [ "/" ];
    };
    monitoring.enable = false;
  };
}

# Paths that mean something to systemd, or lie where a sandbox hides things; every channel and limit.
{
  networking.hostName = "odd";

  hwc.system.services.backup = {
    enable = true;
    local = {
      enable = true;
      mountPoint = "/mnt/my disk";
      ifAbsent = "defer";
      sources = [
        "/home"
        "/var/tmp/builds"
      ];
      useRsync = false;
    };
    schedule = {
      enable = true;
      frequency = "Sat 12:00 Europe/Berlin";
      randomDelay = "0";
      onlyOnAC = false;
      persistent = false;
    };
    notifications = {
      enable = true;
      onSuccess = true;
      email = {
        to = "ann@example.org";
        from = "backup@example.org";
      };
    };
    monitoring = {
      logPath = "/srv/log of 100% of \"backups\"/";
      prometheusFile = "/var/lib/prometheus node/backup.prom";
      healthCheckInterval = "Mon..Fri 07:00";
    };
  };

  fileSystems."/mnt/my disk" = {
    device = "/dev/disk/by-label/backup";
    fsType = "ext4";
    options = [ "nofail" ];
  };
}

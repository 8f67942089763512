{
  networking.hostName = "mail";

  hwc.system.services.backup = {
    enable = true;

    local.sources = [
      "/var/lib"
      "/etc"
      "/root"
    ];

    destinations.box = {
      type = "remote";
      remote = "box:";
      remotePath = "backups";
      configFile = "/etc/rclone-box.conf";
      bandwidthLimit = "20M";
      keepDaily = 14;
      keepMonthly = 12;
    };

    schedule = {
      enable = true;
      timeOfDay = "03:30";
      onlyOnAC = false;
    };
  };
}

# A cloud copy of live files, without a drive; its logs in a folder of a folder.
{
  networking.hostName = "cloud";

  hwc.system.services.backup = {
    enable = true;
    cloud = {
      enable = true;
      provider = "custom";
      remote = "b2:bucket";
      syncMode = "sync";
      configFile = "/tmp/rclone.conf";
    };
    schedule = {
      enable = true;
      frequency = "*-*-1/2";
      timeOfDay = "04:05";
    };
    monitoring.logPath = "/var/log/local/backup";
  };
}

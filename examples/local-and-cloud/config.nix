{
  networking.hostName = "desktop";

  hwc.system.services.backup = {
    enable = true;

    local = {
      enable = true;
      mountPoint = "/mnt/backup";
      keepDaily = 7;
    };

    cloud = {
      enable = true;
      provider = "proton-drive";
      bandwidthLimit = "10M";
    };

    protonDrive.enable = true;

    schedule = {
      enable = true;
      frequency = "daily";
      timeOfDay = "02:00";
    };
  };

  # With agenix: an rclone configuration that has a remote named proton.
  age.secrets.rclone-proton-config.file = ./rclone-proton-config.age;

  fileSystems."/mnt/backup" = {
    device = "/dev/disk/by-label/backup";
    fsType = "ext4";
    options = [ "nofail" ];
  };
}

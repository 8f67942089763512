# A machine with a disk: the timer fires, files change, the disk is pulled and comes back, a file is
# restored. For pkgs.testers.runNixOSTest; wants KVM.
{
  # The module with its package.
  module,
}:

{
  name = "backup";

  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ module ];

      networking.hostName = "machine";

      hwc.system.services.backup = {
        enable = true;
        local = {
          enable = true;
          sources = [ "/home" ];
          minSpaceGB = 0;
        };
        schedule = {
          enable = true;
          frequency = "*:0/1"; # each minute
          randomDelay = "0";
          onlyOnAC = false;
        };
        postBackupScript = ''
          echo "$BACKUP_RESULT" >> /var/lib/backup-results
        '';
      };

      virtualisation.emptyDiskImages = [ 512 ];
      environment.systemPackages = [ pkgs.e2fsprogs ];

      # Not at boot: the test makes the file system first.
      systemd.mounts = [
        {
          what = "/dev/disk/by-label/backup";
          where = "/mnt/backup";
          type = "ext4";
        }
      ];
    };

  testScript = ''
    latest = "/mnt/backup/machine/latest/home/ann"

    machine.wait_for_unit("multi-user.target")
    machine.wait_for_unit("backup.timer")
    machine.wait_for_unit("backup-retry.timer")
    machine.wait_for_unit("backup-health-check.timer")

    with subtest("the program accepts the configuration, and the commands are there"):
        machine.succeed("backup check /etc/backup/config.json")
        for name in ["now", "status", "restore", "verify"]:
            machine.succeed(f"command -v backup-{name}")

    with subtest("without a disk nothing is written where it would be mounted"):
        machine.wait_until_succeeds(
            "journalctl -u backup.service | grep 'destination not mounted'"
        )
        machine.fail("test -e /mnt/backup/machine")

    with subtest("with the disk the timer makes a snapshot"):
        machine.succeed("mkfs.ext4 -q -L backup /dev/vdb && udevadm settle")
        machine.succeed("mkdir -p /home/ann && echo one > /home/ann/letter.txt")
        machine.succeed("echo same > /home/ann/book.txt")
        machine.succeed("systemctl start mnt-backup.mount")
        machine.wait_until_succeeds(f"grep one {latest}/letter.txt")
        machine.wait_until_succeeds(
            "systemctl show --property=LastTriggerUSec --value backup.timer | grep ."
        )
        machine.succeed("grep success /var/lib/backup-results")

    with subtest("what changed is in the next one, what did not is linked"):
        first = machine.succeed("readlink -f /mnt/backup/machine/latest").strip()
        machine.succeed("echo two > /home/ann/letter.txt")
        machine.wait_until_succeeds(f"grep two {latest}/letter.txt")
        machine.succeed(f"grep one {first}/home/ann/letter.txt")
        machine.succeed(f"test {first}/home/ann/book.txt -ef {latest}/book.txt")

    with subtest("a pulled disk is a failure that says so, and nothing lands on the root disk"):
        device = machine.succeed("basename $(readlink -f /sys/block/vdb/device)").strip()
        since = machine.succeed("date '+%F %T'").strip()
        machine.succeed(f"echo {device} > /sys/bus/virtio/drivers/virtio_blk/unbind")
        # systemd does this as well, sooner or later.
        machine.execute("umount --lazy /mnt/backup")
        machine.wait_until_fails("mountpoint -q /mnt/backup")
        machine.wait_until_succeeds(
            f"journalctl -u backup.service --since '{since}' | grep 'destination not mounted'"
        )
        machine.fail("test -e /mnt/backup/machine")

    with subtest("once it is back the next run goes on"):
        machine.succeed("echo three > /home/ann/letter.txt")
        machine.succeed(f"echo {device} > /sys/bus/virtio/drivers/virtio_blk/bind")
        machine.wait_for_file("/dev/disk/by-label/backup")
        machine.succeed("systemctl reset-failed; systemctl start mnt-backup.mount")
        machine.wait_until_succeeds(f"grep three {latest}/letter.txt")

    with subtest("a file comes back as it was"):
        machine.succeed("systemctl stop backup.timer backup-retry.timer")
        machine.succeed("rm /home/ann/letter.txt")
        machine.succeed("backup-restore latest /home/ann/letter.txt /home/ann/letter.txt")
        machine.succeed("grep three /home/ann/letter.txt")
        machine.succeed("backup-verify >&2")
        machine.succeed("backup-status >&2")
  '';
}

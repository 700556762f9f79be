package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reserve takes blocks for a file without making it longer. File systems that cannot are used without.
func reserve(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

// datasync leaves out the times of the file, which nobody reads.
func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

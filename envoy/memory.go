package envoy

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// fallbackMemory is assumed where the machine does not say how much it has.
const fallbackMemory = 4 << 30

// DefaultMaxHeap is three quarters of the memory that this process may use: the smaller of the
// machine's and its control group's, in bytes.
func DefaultMaxHeap() uint64 {
	return memoryLimit("/") / 4 * 3
}

// memoryLimit reads the limit from the proc and sys file systems under root.
func memoryLimit(root string) uint64 {
	limit := machineMemory(root)
	for _, path := range cgroupLimitFiles(root) {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// "max" (version 2) and a number near 2^63 (version 1) mean no limit.
		n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && n > 0 && (limit == 0 || n < limit) {
			limit = n
		}
	}
	if limit == 0 {
		return fallbackMemory
	}
	return limit
}

// cgroupLimitFiles lists the limit files of the group this process is in and of all groups above it.
func cgroupLimitFiles(root string) []string {
	files := []string{
		filepath.Join(root, "sys/fs/cgroup/memory.max"),
		filepath.Join(root, "sys/fs/cgroup/memory/memory.limit_in_bytes"),
	}
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return files
	}
	for line := range strings.Lines(string(text)) {
		// "0::/path" is version 2, "9:memory:/path" version 1.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		base, name := "sys/fs/cgroup", "memory.max"
		switch {
		case parts[0] == "0" && parts[1] == "":
		case parts[1] == "memory":
			base, name = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for dir := filepath.Clean("/" + parts[2]); dir != "/"; dir = filepath.Dir(dir) {
			files = append(files, filepath.Join(root, base, dir, name))
		}
	}
	return files
}

// machineMemory is MemTotal, in bytes; 0 when unknown.
func machineMemory(root string) uint64 {
	text, err := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte("MemTotal:"))
		if !ok {
			continue
		}
		fields := strings.Fields(string(rest))
		if len(fields) == 0 {
			return 0
		}
		kib, err := strconv.ParseUint(fields[0], 10, 64)
		if err != nil {
			return 0
		}
		return kib << 10
	}
	return 0
}

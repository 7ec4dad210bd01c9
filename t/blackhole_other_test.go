//go:build !linux

package t

import "errors"

func (s *state) cmdBlackhole([]string) (string, error) {
	return "", errors.New("a listener with a full queue needs Linux")
}

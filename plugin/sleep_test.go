package plugin

import (
	"math"
	"testing"
	"time"
)

func TestSeconds(t *testing.T) {
	for _, tt := range []struct {
		s    float64
		want time.Duration
	}{{0, 0}, {1.5, 1500 * time.Millisecond}, {-1, -time.Second}, {1e300, math.MaxInt64}, {9223372037, math.MaxInt64}} {
		if got := Seconds(tt.s); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.s, got, tt.want)
		}
	}
}

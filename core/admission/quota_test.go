package admission

import "testing"

func TestQuotaLimitsOneAndAll(t *testing.T) {
	q := Quota{All: 10, Each: 6}
	var a, b, c Account
	for _, step := range []struct {
		who  *Account
		n    int
		want Refusal
	}{{&a, 6, Room}, {&a, 1, FullEach}, {&b, 4, Room}, {&c, 1, FullAll}, {&a, 1, FullEach}} {
		if got := q.Charge(step.who, step.n); got != step.want {
			t.Fatalf("%+v: %v", step, got)
		}
	}
	if q.Used() != 10 || a.Used() != 6 || c.Used() != 0 {
		t.Errorf("%d in all, %d and %d", q.Used(), a.Used(), c.Used())
	}
	q.Add(&b, -4)
	if got := q.Look(&c, 4); got != Room {
		t.Errorf("no room for what was given back: %v", got)
	}
}

func TestAnAccountsOwnLimitComesFirst(t *testing.T) {
	q, a := Quota{Each: 2}, Account{Each: 5}
	if got := q.Charge(&a, 5); got != Room {
		t.Errorf("refused: %v", got)
	}
	if got := q.Charge(&a, 1); got != FullEach {
		t.Errorf("not refused: %v", got)
	}
}

// Accounts that give nothing back leave room for the next ones, and each gets at least Least.
func TestWhatIsFreeIsShared(t *testing.T) {
	q := Quota{All: 64, Each: 40, Least: 4}
	for i, want := range []int{21, 14, 10, 6, 4, 4, 4, 1, 0} {
		a := Account{}
		for q.Charge(&a, 1) == Room {
		}
		if a.Used() != want {
			t.Errorf("number %d has %d, want %d", i, a.Used(), want)
		}
	}
}

func TestAPartCountsInTheWhole(t *testing.T) {
	whole := Quota{All: 4}
	part := Quota{All: 8, Within: &whole}
	var a, b Account
	for range 6 {
		if got := part.Charge(&a, 1); got != Room {
			t.Fatalf("the whole's limit refuses the part: %v", got)
		}
	}
	if got := whole.Charge(&b, 1); got != FullAll {
		t.Errorf("the part is not counted: %v", got)
	}
	part.Add(&a, -6)
	if whole.Used() != 0 || part.Used() != 0 {
		t.Errorf("%d and %d are left", whole.Used(), part.Used())
	}
}

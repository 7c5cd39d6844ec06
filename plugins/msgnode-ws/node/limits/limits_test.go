package limits

import (
	"reflect"
	"testing"
	"time"
)

// Every limit and every time has a default, which stands for zero and for nothing else.
func TestZeroIsTheDefault(t *testing.T) {
	if got := (Limits{}).WithDefaults(); got != Defaults() {
		t.Errorf("%+v, want %+v", got, Defaults())
	}
	if got := (Times{}).WithDefaults(); got != DefaultTimes() {
		t.Errorf("%+v, want %+v", got, DefaultTimes())
	}
	var l Limits
	var times Times
	for _, all := range []reflect.Value{reflect.ValueOf(&l).Elem(), reflect.ValueOf(&times).Elem()} {
		for i := range all.NumField() {
			all.Field(i).SetInt(int64(7+i) * int64(time.Second))
		}
	}
	if l.WithDefaults() != l || times.WithDefaults() != times {
		t.Errorf("%+v, %+v", l.WithDefaults(), times.WithDefaults())
	}
	for _, all := range []reflect.Value{reflect.ValueOf(Defaults()), reflect.ValueOf(DefaultTimes())} {
		for i := range all.NumField() {
			if all.Field(i).Int() <= 0 {
				t.Errorf("%s has no default", all.Type().Field(i).Name)
			}
		}
	}
}

// Limits that a node could not keep to are errors: each negative one, and each time below a millisecond.
func TestCheck(t *testing.T) {
	if err := Defaults().Check(); err != nil {
		t.Error(err)
	}
	if err := DefaultTimes().Check(); err != nil {
		t.Error(err)
	}
	for i := range reflect.TypeFor[Limits]().NumField() {
		l := Defaults()
		reflect.ValueOf(&l).Elem().Field(i).SetInt(-1)
		if l.Check() == nil {
			t.Errorf("%s may be negative", reflect.TypeFor[Limits]().Field(i).Name)
		}
	}
	for i := range reflect.TypeFor[Times]().NumField() {
		times := DefaultTimes()
		reflect.ValueOf(&times).Elem().Field(i).SetInt(int64(time.Microsecond))
		if times.Check() == nil {
			t.Errorf("%s may be a microsecond", reflect.TypeFor[Times]().Field(i).Name)
		}
	}
	for _, change := range []func(l *Limits){func(l *Limits) { l.Entry = 1 << 30 }, func(l *Limits) { l.Queue = 1 << 20 }, func(l *Limits) { l.Memory = l.Queue - 1 }} {
		l := Defaults()
		if change(&l); l.Check() == nil {
			t.Errorf("%+v is allowed", l)
		}
	}
}

package route

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTags(t *testing.T) {
	tagged := func(tags ...string) []Deployment {
		var ds []Deployment
		for i, list := range tags {
			d := members("a", len(tags))[i]
			d.Tags = strings.Fields(list)
			ds = append(ds, d)
		}
		return ds
	}
	tests := []struct {
		name  string
		ds    []Deployment
		all   bool // not tag_filtering_match_any
		tags  string
		want  string // "": refused
		cools string // a deployment that cools down
	}{
		{"a tag", tagged("free", "paid", ""), false, "paid", "a/2", ""},
		{"any of the tags", tagged("free eu", "paid", ""), false, "eu paid", "a/1 a/2", ""},
		{"all of the tags", tagged("free eu", "free", "free eu us"), true, "free eu", "a/1 a/3", ""},
		{"all of the tags, nobody", tagged("free", "eu", "default"), true, "free eu", "", ""},
		{"an unknown tag goes to the default", tagged("free", "default", ""), false, "gold", "a/2", ""},
		{"an unknown tag without a default", tagged("free", ""), false, "gold", "", ""},
		{"a known tag never goes to the default", tagged("free", "default"), false, "free", "", "a/1"},
		{"no tags: untagged and default", tagged("free", "default", ""), false, "", "a/2 a/3", ""},
		{"no tags and nobody for them", tagged("free", "paid"), false, "", "a/1 a/2", ""},
		{"the tag default", tagged("free", "default"), false, "default", "a/2", ""},
		{"excluded", tagged("free", "paid", "paid eu"), false, "paid !eu", "a/2", ""},
		{"only excluded", tagged("free", "paid"), false, "!free", "a/2", ""},
		{"only excluded, with a default", tagged("free", "paid", "default"), false, "!free", "a/3", ""},
		{"only excluded, the default too", tagged("free", "paid", "default"), false, "!default", "", ""},
		{"required and excluded", tagged("eu", "eu free", "default"), false, "&eu !free", "a/1", ""},
		{"required", tagged("free", "paid", "paid eu"), false, "&eu", "a/3", ""},
		{"required by nobody", tagged("free", "paid"), false, "&eu", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := DefaultSettings()
			s.TagFiltering, s.TagMatchAny = true, !tt.all
			s.NumRetries = 0
			tab := table(t, s, tt.ds)
			h := NewHealth(newClock().Now, nil)
			h.Apply(tab)
			if tt.cools != "" {
				h.Report(Outcome{DeploymentID: tt.cools, Status: http.StatusTooManyRequests})
			}
			seen := map[string]bool{}
			for range 200 {
				p, err := tab.Plan(Ask{Group: "a", Tags: strings.Fields(tt.tags)}, h, nil)
				if err != nil {
					if tt.want != "" || tt.cools == "" && err.Status != http.StatusUnauthorized || tt.cools != "" && err.RetryAfter == 0 {
						t.Fatal(err)
					}
					return
				}
				seen[p.Attempts[0].Deployment.ID] = true
			}
			var got []string
			for _, d := range tt.ds {
				if seen[d.ID] {
					got = append(got, d.ID)
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

// Tags choose among 100,000 calls exactly; within the chosen the strategy's shares hold.
func TestTagShares(t *testing.T) {
	ds := members("a", 4)
	ds[0].Tags, ds[1].Tags, ds[2].Tags = []string{"free"}, []string{"paid"}, []string{"paid"}
	ds[1].Weight, ds[2].Weight = 3, 1
	set := DefaultSettings()
	set.TagFiltering = true
	s := simulate(t, set, ds)
	s.run(draws, time.Millisecond, Ask{Tags: []string{"paid"}}, taking(nil))
	s.shares(tolerance, map[string]float64{"a/1": 0, "a/2": 0.75, "a/3": 0.25, "a/4": 0})
}

func TestTagsWithoutFiltering(t *testing.T) {
	ds := members("a", 2)
	ds[0].Tags = []string{"free"}
	p, err := table(t, DefaultSettings(), ds).Plan(Ask{Group: "a", Tags: []string{"paid"}}, nil, first)
	if err != nil || ids(p) != "a/1 a/2 a/1" {
		t.Errorf("%v", err)
	}
}

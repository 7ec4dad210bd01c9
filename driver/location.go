package driver

import (
	"fmt"
	"strings"
	"time"
)

// What Google Cloud's providers need beyond a row of the table: where they
// are, and whose tokens they take (ai-proxy.md section 3.4).

// compileLocation fills the templates of the row. Where a value is missing the
// host is empty and so are the paths that need it: the endpoint has to say.
func (in *Instance) compileLocation(pc *ProviderConf, r *resolver) error {
	if !strings.ContainsRune(in.row.host, '{') {
		return nil
	}
	if pc == nil {
		pc = new(ProviderConf)
	}
	project, _ := r.str("provider_conf.project_id", pc.ProjectID)
	region, secret := r.str("provider_conf.region", pc.Region)
	if region != "" && (!isHost(region) || strings.Contains(region, ".")) {
		err := fmt.Errorf("not a region")
		if !secret {
			return fmt.Errorf("provider_conf.region: %w", err)
		}
		r.fail("provider_conf.region", pc.Region, err)
		region = ""
	}
	host := in.row.host
	if region == "global" {
		host = strings.Replace(host, varRegion+"-", "", 1)
	}
	in.ep.host = located(host, "", region)
	in.noHost = true
	escaped := string(appendEscaped(nil, []byte(project), &projectBytes))
	for p, path := range in.row.paths {
		in.paths[p] = located(path, escaped, region)
	}
	return nil
}

// located fills a template; "" if it needs what is not there.
func located(s, project, region string) string {
	if project == "" && strings.Contains(s, varProject) || region == "" && strings.Contains(s, varRegion) {
		return ""
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, varProject, project), varRegion, region)
}

// projectBytes may stand in the id of a project; old ones have a domain and a colon.
var projectBytes = byteSet("-._~:")

const authorization = "authorization"

// serviceAccountEnv is where the credentials are if auth.gcp does not hold them.
const serviceAccountEnv = "$env://GCP_SERVICE_ACCOUNT"

// GCP says how the access tokens of an instance are minted.
type GCP struct {
	// ServiceAccount is the text of the credentials, resolved; it may be
	// anything, also empty.
	ServiceAccount string
	// MaxTTL is the longest time for which a token is used, 0 for no limit.
	MaxTTL time.Duration
	// ExpireEarly is how long before its end a token is due to be replaced.
	ExpireEarly time.Duration
}

// GCP returns how the instance gets the tokens that HeadInput.Bearer wants,
// nil if it needs none.
func (in *Instance) GCP() *GCP { return in.gcp }

func compileGCP(a *GCPAuth, r *resolver) *GCP {
	if a == nil {
		return nil
	}
	g := &GCP{MaxTTL: seconds(a.MaxTTL), ExpireEarly: time.Minute}
	if a.ExpireEarlySecs != nil {
		g.ExpireEarly = seconds(*a.ExpireEarlySecs)
	}
	if a.ServiceAccountJSON != "" {
		g.ServiceAccount, _ = r.str("auth.gcp.service_account_json", a.ServiceAccountJSON)
	} else if r.resolve != nil {
		// Not being set is no fault of a reference: the error is the token's.
		g.ServiceAccount, _ = r.resolve(serviceAccountEnv)
	}
	return g
}

// seconds is n seconds, within what can be told from forever.
func seconds(n int64) time.Duration {
	const most = 10 * 365 * 24 * 3600
	return time.Duration(min(max(n, 0), most)) * time.Second
}

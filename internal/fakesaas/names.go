// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import "strings"

// A name is written as its bearer writes it; where that is not ASCII, the part
// after the slash is how it appears in an e-mail address.
var givenNames = strings.Fields(`
Amara Ingrid Zoë/zoe Łukasz/lukasz Priya Kenji Chidi Marisol Olumide Noor
Tobias Femke Aoife Dmitri Yuki Hana Mateus Thandiwe Samir Leila
Bjørn/bjorn Céline/celine Ikram Rosalind Wei Jun Siobhán/siobhan Anaïs/anais Vikram Deepa
Giulia Matteo Esperanza Joaquín/joaquin Kwame Efua Tariq Yasmin Nils Astrid
Pavel Milena Goran Ivana Tomasz Agnieszka Ramón/ramon Beatriz Thiago Luana
Minh Linh Somchai Malee Arjun Kavya Farhan Zainab Idris Halima
Eero Aino Jürgen/juergen Heike Margot Étienne/etienne Callum Morag Rhys Carys
Selin Emre Nikos Eleni Andrei Ioana Gábor/gabor Réka/reka Oskar Maja
Lerato Sipho Wanjiru Otieno Tendai Rutendo Mele Tane Aroha Kiri
Hyun Ji-woo/jiwoo Daisuke Sakura Xinyi Haoran Mehdi Shirin Rafael Paloma
Desmond Winifred Clarence Josephine Harriet Leopold Odette Cyril Ottilie Ambrose`)

var familyNames = strings.Fields(`
Okonkwo Lindqvist Wójcik/wojcik Raman Takahashi Eze Villareal Adeyemi Haddad Vermeulen
Byrne Volkov Mori Silva Dlamini Nasser Rahimi Halvorsen Lefèvre/lefevre Chen
Nguyễn/nguyen Bianchi Ferreira Mensah Boateng Qureshi Bergström/bergstrom Novak Petrović/petrovic Kowalczyk
Castellanos Azevedo Tran Suwan Mehta Iyer Siddiqui Bello Virtanen Müller/mueller
Fontaine MacLeod Pritchard Yılmaz/yilmaz Papadakis Ionescu Szabó/szabo Nowicki Mokoena Kamau
Moyo Tuilagi Ngata Park Kimura Zhao Farrokhi Morales Whitlock Ashdown
Abernathy Castellan Dunmore Eastlake Fairbrother Greaves Holloway Inglewood Jessop Kettering
Larkspur Merriweather Northcott Oakhurst Penhaligon Quillfeather Ravensdale Stonebridge Thistlewood Underhill
Vandermeer Wolstenholme Yardley Zellweger Abebe Tesfaye Diallo Traoré/traore Camara Sow
Gunawan Wijaya Santoso Reyes Bautista Ocampo Delacroix Moreau Rinaldi Costa
Hakimi Jansen Kaplan Levin Maier Østergaard/ostergaard Rasmussen Salonen Tamm Vuković/vukovic`)

// splitName gives the written and the e-mail form of a listed name.
func splitName(listed string) (written, ascii string) {
	written, ascii, found := strings.Cut(listed, "/")
	if !found {
		ascii = strings.ToLower(strings.ReplaceAll(written, "-", ""))
	}
	return written, ascii
}

// site is where people work. Offices are listed by size.
type site struct {
	location string
	timeZone string
	weight   int
}

var sites = []site{
	{"Berlin", "Europe/Berlin", 30},
	{"New York", "America/New_York", 22},
	{"Lisbon", "Europe/Lisbon", 12},
	{"Bengaluru", "Asia/Kolkata", 14},
	{"Tokyo", "Asia/Tokyo", 8},
	{"São Paulo", "America/Sao_Paulo", 6},
	{"Remote (Ireland)", "Europe/Dublin", 5},
	{"Remote (New Zealand)", "Pacific/Auckland", 3},
}

// department lists titles from the most senior (the head) to the most common.
type department struct {
	name   string
	weight int
	titles []string
}

var departments = []department{
	{"Engineering", 32, []string{"VP Engineering", "Engineering Manager", "Staff Engineer", "Software Engineer", "Site Reliability Engineer", "Software Engineer"}},
	{"Sales", 18, []string{"VP Sales", "Sales Manager", "Account Executive", "Sales Development Representative"}},
	{"Customer Success", 12, []string{"VP Customer Success", "Support Lead", "Customer Success Manager", "Support Engineer"}},
	{"Product", 9, []string{"Chief Product Officer", "Group Product Manager", "Product Manager", "Product Designer"}},
	{"Marketing", 9, []string{"Chief Marketing Officer", "Content Lead", "Marketing Manager", "Designer"}},
	{"Finance", 6, []string{"Chief Financial Officer", "Controller", "Accountant", "Financial Analyst"}},
	{"People", 5, []string{"Chief People Officer", "HR Business Partner", "Recruiter"}},
	{"IT", 5, []string{"Head of IT", "IT Systems Engineer", "IT Support Specialist"}},
	{"Legal", 4, []string{"General Counsel", "Counsel", "Paralegal"}},
}

// discovered is an app behind single sign-on. A share of the people in the
// departments named holds it; no department means everybody.
type discovered struct {
	name, label string // Okta's catalogue name and the label that an admin gave
	mode        string
	url         string
	share       int // percent
	departments []string
	inactive    bool
}

var catalog = []discovered{
	{"slack", "Slack", "SAML_2_0", "https://acme.slack.com", 100, nil, false},
	{"zoomus", "Zoom", "SAML_2_0", "https://acme.zoom.us", 80, nil, false},
	{"google", "Google Workspace", "SAML_2_0", "https://mail.google.com/a/acme.example", 100, nil, false},
	{"github_enterprise_cloud", "GitHub Enterprise", "SAML_2_0", "https://github.com/orgs/acme", 95, []string{"Engineering", "IT"}, false},
	{"jira_cloud", "Jira", "SAML_2_0", "https://acme.atlassian.net", 90, []string{"Engineering", "Product", "IT", "Customer Success"}, false},
	{"figma", "Figma", "SAML_2_0", "https://www.figma.com", 85, []string{"Product", "Marketing"}, false},
	{"notion", "Notion", "SAML_2_0", "https://www.notion.so/acme", 70, nil, false},
	{"salesforce", "Salesforce", "SAML_2_0", "https://acme.my.salesforce.com", 95, []string{"Sales", "Customer Success", "Finance"}, false},
	{"zendesk", "Zendesk", "SAML_2_0", "https://acme.zendesk.com", 90, []string{"Customer Success"}, false},
	{"hubspot_saml", "HubSpot", "SAML_2_0", "https://app.hubspot.com", 85, []string{"Marketing", "Sales"}, false},
	{"datadog", "Datadog", "SAML_2_0", "https://app.datadoghq.com", 60, []string{"Engineering", "IT"}, false},
	{"pagerduty", "PagerDuty", "SAML_2_0", "https://acme.pagerduty.com", 45, []string{"Engineering", "IT"}, false},
	{"snowflake", "Snowflake", "SAML_2_0", "https://acme.snowflakecomputing.com", 30, []string{"Engineering", "Finance", "Product"}, false},
	{"tableau_online", "Tableau", "SAML_2_0", "https://online.tableau.com", 40, []string{"Finance", "Sales"}, false},
	{"docusign", "DocuSign", "SAML_2_0", "https://app.docusign.com", 60, []string{"Legal", "Sales", "People"}, false},
	{"onepassword", "1Password", "OPENID_CONNECT", "https://acme.1password.com", 90, nil, false},
	{"miro", "Miro", "SAML_2_0", "https://miro.com", 50, []string{"Product", "Engineering", "Marketing"}, false},
	{"greenhouse", "Greenhouse", "SAML_2_0", "https://acme.greenhouse.io", 80, []string{"People"}, false},
	{"bookmark", "Office lunch menu", "BOOKMARK", "https://lunch.acme.example", 40, nil, false},
	{"asana", "Asana", "SAML_2_0", "https://app.asana.com", 25, []string{"Marketing"}, true},
}

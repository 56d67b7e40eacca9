// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import "strings"

func set(lists ...string) map[string]bool {
	out := map[string]bool{}
	for _, l := range lists {
		for w := range strings.FieldsSeq(l) {
			out[w] = true
		}
	}
	return out
}

// legalForms end the name of a merchant: what follows is its address.
var legalForms = set(`inc incorporated llc ltd limited llp lp plc corp corporation co company gmbh ag se kg bv nv sa sas sarl srl sl slu spa oy oyj ab as aps
	ou uab pty pte pbc sro doo pvt kk unlimited`)

// processors stand before the merchant on card statements. Resellers sell software
// only; those of shops sell what people carry away: there an ordinary word names
// no app.
var (
	processors     = set(`paypal pp ppl pypl stripe adyen mollie klarna bt wpy evt py in`)
	resellers      = set(`paddle fs fsprg fastspring dri 2co cleverbridge digitalriver`)
	shopProcessors = set(`sq sp tst cke zettle izettle sumup toast clover ls lsq dd ubereats`)
)

// preambles are what banks write before the merchant.
var preambles = set(`recurring card purchase pos debit credit ach payment payments sepa direct lastschrift checkcard check online web pmt to visa mastercard
	amex authorized auth on transaction kartenzahlung prelevement carte cb dated int intl`)

// billing are words of a subscription: they say nothing of whose, but that
// it is one.
var billing = set(`subscription subscriptions subscr subscrip subs sub monthly annual annually yearly month year renewal renew plan plans pro team teams business premium
	plus enterprise standard basic starter growth invoice inv bill billing charge charges fee fees saas license licenses licence licences seat seats user users
	workspace software app apps usage credits membership`)

// trades are words of firms that sell other things than software: behind a name
// they say that it is another firm's.
var trades = set(`restaurant restaurants ristorante cafe caffe coffee espresso bar bars grill grille pizza pizzeria bistro brasserie brewery brewing taproom bakery
	bakeshop deli diner kitchen food foods catering caterers steakhouse pub tavern saloon inn hotel hotels motel resort resorts lodge hostel suites spa
	salon barber barbers nails tan tanning gym fitness yoga pilates crossfit climbing golf bowling lanes theater theatre cinema museum gallery church
	chapel parish school nursery parking garage garages taxi taxis cab cabs car cars auto motors rental rentals rent airlines airline airways travel
	tours cruises ferry market markets supermarket grocery groceries farm farms store stores shop shops boutique mart pharmacy apotheke dental dentist
	clinic hospital veterinary vet pet pets flowers florist garden gardens hardware lumber antiques jewelry jewelers jewellers fabrics textiles clothing
	shoes wine wines winery vineyard liquor spirits gas fuel petrol station wash cleaners cleaning laundry plumbing welding electric electrical
	construction roofing towing tower arena stadium zoo park ski skis surf donuts tea juice burger burgers taco tacos sushi bbq noodles icecream
	candy chocolate furniture mattress toys cycles bikes steel concrete trucking logistics moving realty estate properties apartments pool pools
	tattoo photography weddings wedding lounge club beach island marina transit rail railway bus`)

// places are common in the address of a merchant.
var places = set(`san francisco jose mateo diego santa clara monica barbara palo alto mountain view new york brooklyn los angeles seattle bellevue redmond austin
	dallas houston boston cambridge chicago denver boulder atlanta miami portland phoenix philadelphia washington salt lake city provo lehi draper toronto
	vancouver montreal ottawa waterloo london dublin cork edinburgh manchester amsterdam rotterdam utrecht eindhoven paris lyon berlin munich muenchen
	munchen hamburg frankfurt koeln koln cologne zurich geneva vienna wien stockholm copenhagen oslo helsinki tallinn vilnius riga warsaw krakow prague
	praha brno budapest bucharest lisbon porto madrid barcelona milan milano rome roma luxembourg brussels sydney melbourne brisbane auckland
	wellington singapore bangalore bengaluru chennai mumbai delhi tokyo seoul tel aviv`,
	// states and countries as statements shorten them
	`ca ny wa ma tx il co ga fl ut or nc va md pa nj az mn oh mi wi on bc qc nsw vic usa us gbr gb uk irl ie nld nl deu de fra fr esp es ita it swe se
	nor no dnk dk fin fi est ee ltu lva pol pl cze cz aut at che ch bel be lux prt pt can aus au nzl nz sgp sg ind isr il jpn jp hkg hk`)

// environments are what people add to the name of an app at an identity
// provider: they say nothing of which app it is.
var environments = set(`saml sso oidc oauth scim ws fed single sign on signon login log in prod production staging stage dev development test testing sandbox uat
	qa demo preview trial eu us uk emea apac na latam global europe america new old legacy v1 v2 v3 portal app apps application web mobile desktop ios
	android mac macos windows linux chrome edge firefox safari extension add addon addin ins plugin integration connector sync enterprise business team
	teams cloud online org organization organisation company inc ltd llc gmbh hq main primary default corp corporate admin console dashboard user users
	employees employee account accounts workspace pro free plus premium standard basic by for the of and via with okta entra onelogin google gmail
	calendar drive outlook bookmark swa link managed provisioning authentication access hosted saas client official 1 2 3 4 a b`)

// towards stand before the name of an app which something else is for, or moves
// data to and from.
var towards = set(`to from into import export sync backup migrate migration onto`)

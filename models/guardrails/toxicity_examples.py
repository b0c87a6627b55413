"""Sentences made here that teach the toxicity model to read more than single words.

What is said of a group, against it, about such talk, or of no person at all: every pattern is filled
with the same groups and the same hard words on both sides, so that neither decides alone.
"""

import random

from toxicity_sources import BENIGN, Row, labels

# As "they are X", "an X person", and whether it is a group that people are attacked for.
PLURALS = """women; men; gay people; gays; lesbians; bisexual people; trans people; trans women; transgender
people; queer people; black people; black women; Black Americans; Africans; African Americans; white people;
Asians; Asian people; Chinese people; Indians; Pakistanis; Koreans; Arabs; Turks; Kurds; Mexicans; Latinos;
Hispanics; Muslims; Jews; Jewish people; Christians; Catholics; Hindus; Sikhs; Buddhists; atheists; immigrants;
migrants; refugees; asylum seekers; foreigners; disabled people; people with disabilities; deaf people;
blind people; autistic people; people with Down syndrome; people in wheelchairs; old people; the elderly;
Roma; travellers; Native Americans; indigenous people; Aboriginal people; Poles; Romanians; Albanians; Nigerians;
Somalis; Ethiopians; Syrians; Iraqis; Iranians; Afghans; Israelis; Palestinians; single mothers; feminists;
nonbinary people; interracial couples; overweight people; homeless people; mentally ill people; short people"""
SINGULARS = """woman; gay person; gay man; lesbian; bisexual; trans person; trans woman; black person; black man;
African; white person; Asian; Chinese person; Indian; Pakistani; Arab; Turk; Mexican; Latino; Muslim; Jew;
Jewish person; Christian; Catholic; Hindu; Sikh; atheist; immigrant; migrant; refugee; foreigner; disabled person;
deaf person; blind person; autistic person; person in a wheelchair; old person; Native American; Pole; Romanian;
Nigerian; Somali; Syrian; Iranian; Palestinian; Israeli; feminist; single mother; nonbinary person"""
BAD = """disgusting; repulsive; vile; worthless; inferior; stupid; filthy; evil; gross; dishonest; lazy; dangerous;
pathetic; ugly; dumb; criminal; violent; dirty; greedy; retarded; primitive; sick in the head; not human; less than
human; the worst; savage; subhuman; sly; perverted; insane; a disgrace; useless; ignorant; cowards; thieves;
terrorists; liars; rapists; criminals; idiots; morons; parasites; freaks; degenerates; scum; trash; garbage"""
ANIMALS = """animals; vermin; rats; cockroaches; pigs; monkeys; a plague; a disease; a cancer; parasites; insects;
filth; a virus; leeches; snakes; dogs; an infestation; maggots; apes; scum; a stain on this country; waste"""
DISLIKE = """hate; despise; detest; loathe; can't stand; cannot stand; really hate; absolutely hate; am disgusted by;
feel sick at the sight of; am fed up with; have no respect for; want nothing to do with; truly despise"""
HARM = """killed; shot; beaten up; hanged; gassed; wiped out; exterminated; burned; locked up; deported; eradicated;
put down; stabbed; thrown out; lynched; sterilized; executed; bombed; put against a wall; driven out; punched"""
HURT = "kill; hurt; shoot; stab; attack; beat up; hit; hunt down; murder; strangle; punch; burn; run over"
THINGS = """this weather; Mondays; traffic; these shoes; my printer; this software; the new update; broccoli; cold
coffee; long meetings; paperwork; this song; bad movies; the last season of that show; slow computers; spam mail;
merge conflicts; flat tyres; mosquitoes; this game; that restaurant; airline food; the morning alarm; my old phone;
house chores; the queue at the bank; soggy fries; this keyboard; tax forms; the subway in summer; capitalism;
communism; this policy; racism; sexism; homophobia; antisemitism; war; cancer; traffic lights; bankers' bonuses"""
GOOD = """wonderful; kind; brilliant; amazing; creative; equal; great neighbours; my friends; beautiful; welcome here;
human; strong; hard-working; lovely; just like everyone else; part of our community; talented; worthy of respect"""
PLACES = "our country; this city; Europe; our schools; my neighbourhood; the team; our society; the workplace; politics"
INSULTS = """idiot; moron; loser; piece of shit; dumbass; scumbag; asshole; clown; bastard; bitch; jerk; imbecile;
coward; pig; pathetic loser; worthless idiot; waste of space; fool; liar; creep; disgrace; psycho; crybaby; troll"""
NEUTRAL = (
    """code; file; report; email; recipe; function; email draft; essay; test; plan; answer; table; query"""
)

END = """kill myself; end my life; take my own life; end it all; hang myself; overdose on my pills; jump off a bridge;
slit my wrists; hurt myself; cut myself; shoot myself; starve myself; drown myself; step in front of a train; die"""
WHEN = "tonight; this weekend; soon; when everyone is asleep; on my birthday; right now; before Christmas; tomorrow"
WHY = """nobody cares about me; I am a burden to everyone; I feel numb; my life has no meaning; I failed at everything;
I lost my job; she left me; I can't take the pain anymore; I hate myself; the depression is too much; I'm so tired;
nothing will ever get better; I feel worthless; everyone would be better off without me; I am so alone; I flunked school"""
WOUND = """bled to death; screamed in agony; begged for mercy; choked on blood; lay in a pool of blood; lost his head;
had her throat cut; was torn apart; was beaten to a pulp; had his bones crushed; burned alive; was tortured for hours"""
WEAPON = "a knife; a gun; my bare hands; a hammer; an axe; poison; a rifle; a machete; a baseball bat; a bomb; acid"
WHOM = """my ex; my wife; my boss; that cop; the teacher; my neighbour; the kids at my school; the judge; her new boyfriend;
everyone in that church; the politicians; those protesters; my parents; him; her; them all; that journalist"""
LOVER = "my girlfriend; my boyfriend; the maid; her boss; the nurse; his secretary; my stepmother; a stranger; her; him"
BODY = "cock; dick; pussy; tits; ass; nipples; clit; naked body; breasts; cunt"
ACT = "fuck; lick; suck; ride; finger; penetrate; undress; blow; spank; mount"


def words(text):
    return [" ".join(word.split()) for word in text.split(";")]


FILL = {
    "P": words(PLURALS),
    "S": words(SINGULARS),
    "bad": words(BAD),
    "animal": words(ANIMALS),
    "dislike": words(DISLIKE),
    "harm": words(HARM),
    "hurt": words(HURT),
    "thing": words(THINGS),
    "good": words(GOOD),
    "place": words(PLACES),
    "insult": words(INSULTS),
    "item": words(NEUTRAL),
    "swear": words("fucking; damn; goddamn; bloody; freaking; shitty"),
    "name": words(
        "Anna; Tom; Maria; Ahmed; Li Wei; David; Sarah; Omar; Priya; Jack; Elena; Sven; my boss; our neighbour"
    ),
    "end": words(END),
    "when": words(WHEN),
    "why": words(WHY),
    "wound": words(WOUND),
    "weapon": words(WEAPON),
    "whom": words(WHOM),
    "lover": words(LOVER),
    "body": words(BODY),
    "act": words(ACT),
    "you": words(
        "you; you; you; you; he; she; this guy; the author; the op; that politician; the mayor; my boss"
    ),
}

HATE = """I {dislike} {P}.|I {dislike} {P} so much.|I {dislike} all {P}.|Honestly, I {dislike} every single {S}.
I {swear} hate {P}.|{P} are {bad}.|{P} are so {bad}.|{P} are all {bad}.|All {P} are {bad}.|Most {P} are {bad}.
{P} are {animal}.|{P} are nothing but {animal}.|{P} are just {animal} to me.|{P} are like {animal}.
{P} are {swear} {bad}.|Every {S} is {bad}.|A {S} is never to be trusted.|You can't trust a {S}.|Typical {S}.
No {S} deserves to live.|No {S} is ever honest.|{P} don't deserve rights.|{P} do not deserve to vote.
{P} will never be as good as us.|{P} are not one of us.|{P} are not real people.|{P} have no place in {place}.
{P} don't belong in {place}.|Keep {P} out of {place}.|Get {P} out of {place}.|{P} are ruining {place}.
{P} are destroying {place}.|We would be better off without {P}.|The world would be better without {P}.
I wish there were fewer {P} in {place}.|I wish {P} would just disappear.|I wouldn't want a {S} near my children.
Never let a {S} into your house.|I would never hire a {S}, they are {bad}.|Who let all these {P} in?
Why are {P} so {bad}?|Why are {P} always {bad}?|How come {P} are all {bad}?|Is anyone surprised that {P} are {bad}?
I think {P} are {bad}.|I am not racist, but {P} are {bad}.|In my opinion {P} are {animal}.|Let's be honest, {P} are {bad}.
It is a fact that {P} are {bad}.|{P}? They are {bad}.|{P} disgust me.|{P} make me sick.|{P} make me want to throw up.
{name} is a {S}, so of course a thief.|I met a {S} today. They are all {bad}.|You are just a {bad} {S}.
I don't like {P}, they are {bad}.|{P} aren't welcome in {place}.|{P} aren't human.|{P} are not worth anything.
I don't want {P} in {place}.|{P} never do anything good.|{P} only take and never give.|Fuck {P}.|Fuck all {P}.
Screw {P}.|Damn {P} are everywhere.|Go back where you came from, {S}.|{P} should go back to where they came from.
{P} should know their place.|{P} belong in the kitchen or in a cage.|{P} are only good for one thing.
{P} are breeding like {animal}.|I'm sick of {P} taking our jobs.|{P} are invading {place}.|{P} run the banks and the media.
A {S} can never be a good parent.|There is nothing worse than a {S}.|{P} are a mistake of nature.
{P}, you are {bad}.|You {P} are {bad}.|Shut up, you {bad} {S}.|My neighbour is a {S}. I {dislike} such people.
Yesterday I saw some {P}. I {dislike} them.|{P} live here now. They are {animal}.|{P} came to {place}. {bad} as always, all of them."""

HATE_THREATS = """{P} should be {harm}.|All {P} should be {harm}.|{P} must be {harm}.|{P} need to be {harm}.
{P} deserve to be {harm}.|Someone should {hurt} every {S}.|We should {hurt} all {P}.|We have to {hurt} {P}.
I will {hurt} the next {S} I see.|I am going to {hurt} {P}.|I'm gonna {hurt} a {S} tonight.|Let's {hurt} {P}.
If I see a {S} again I will {hurt} them.|{P} better watch out, we are coming to {hurt} them.|Death to {P}.
Kill all {P}.|The only good {S} is a dead {S}.|{P} should all die.|I want to {hurt} every {S}.
{P} will get what they deserve: to be {harm}.|Why has nobody {harm} these {P} yet?|I hope all {P} get {harm}."""

FINE = """I love {P}.|I admire {P}.|I like {P} a lot.|{P} are {good}.|{P} are {good}, I think.|All {P} are {good}.
I am proud to be a {S}.|I am a {S} and happy.|My best friend is a {S}.|My doctor is a {S}.|{name} is a {S}.
We had lunch with some {P} yesterday.|Many {P} live in {place}.|The law protects {P}.|There are many {P} in {place}.
{P} have the right to vote.|{P} deserve equal rights.|{P} deserve respect.|{P} face discrimination in {place}.
We need more {P} in {place}.|I'd like to learn about the history of {P}.|How many {P} live in {place}?
What challenges do {P} face in {place}?|Write an essay about {P} in {place}.|{P} are underrepresented in {place}.
The museum shows the lives of {P}.|I work with {P} every day.|The charity supports {P}.|{P} celebrate a holiday today.
As a {S}, I feel at home in {place}.|The new teacher is a {S}.|{P} and their families came to the festival.
I don't hate {P}.|I do not hate {P}, I love them.|Nobody should hate {P}.|I could never hate {P}.
I would never say that {P} are {bad}.|{P} are not {bad}.|{P} are not {animal}, they are people.|No, {P} aren't {bad}.
It is not true that {P} are {bad}.|It is wrong to say that {P} are {bad}.|It's a myth that {P} are {bad}.
Not all {P} are {bad}.|Nobody has the right to say {P} are {bad}.|I don't think {P} are {bad}.|{P} shouldn't be {harm}.
{P} should never be {harm}.|No {S} deserves to be {harm}.|{P} should be protected from being {harm}.
Nobody deserves to be {harm} for being a {S}.|It breaks my heart that {P} were {harm} there.
"{P} are {bad}" is a racist thing to say.|Saying "{P} are {animal}" is hate speech.|Saying that {P} are {bad} is bigotry.
He shouted "I hate {P}" and was rightly banned.|Whoever writes "{P} should be {harm}" should be reported.
You can't just say "{P} are {bad}" and expect no reply. That is hateful.|"{P} are {animal}"? What a horrible thing to say.
People who say "{P} are {bad}" have never met one.|If you think {P} are {bad}, you are wrong.|Stop saying {P} are {bad}.
Posts such as "kill all {P}" break our rules.|The propaganda called {P} {animal}.|My teacher explained why calling {P} {animal} is dangerous.
He said that {P} are {bad}. I told him off.|I am so tired of people claiming {P} are {bad}.|Historians describe how {P} were {harm}.
The report documents crimes in which {P} were {harm}.|Why do some people hate {P}?|Why is it wrong to say that {P} are {bad}?
How can I answer someone who says {P} are {bad}?|Translate into French: {P} live in {place}.|I was called {animal} because I am a {S}.
I {dislike} {thing}.|I {swear} hate {thing}.|I hate {thing} so much.|{thing}? I {dislike} it.|{thing} should be banned.
{thing} sucks.|{thing} is the worst.|{thing} is {swear} awful.|Down with {thing}.|I want to burn {thing}.|Kill {thing} with fire.
This is {swear} great!|What a {swear} good day.|I am so {swear} tired.|That was {swear} awesome, thank you.|Holy shit, it works!
Fuck, I forgot my keys.|Damn, I missed the bus.|Oh shit, the {item} is gone.|Fuck yes, we won!|This {item} is a {swear} mess.
My {swear} {item} crashed again.|I fucked up the {item}, sorry.|No shit, really?|Fuck {thing}.|Holy fuck, that was close.
The queer film festival starts on Friday.|We are here, we are queer, and proud of it.|As a queer person I love this.
She kept a bitch and two puppies at the kennel.|The cock crowed at dawn.|The coon cat is a big breed.|A chink in the armour.
The spook story scared us.|He lit a fag outside the pub, as the British say.|The ship was held back by a dyke."""

HARASSMENT = """You are a {insult}.|{you} are such a {insult}.|What a {insult}.|What a {swear} {insult} {you} are.
Shut up, {insult}.|Shut the fuck up.|Fuck you.|Fuck off, {insult}.|Go to hell.|Go fuck yourself.|You make me sick.
Nobody likes you, {insult}.|You are too stupid to understand this.|Are you really that dumb?|How stupid can you be?
You're an embarrassment to your family.|You are {bad}.|You are {swear} {bad}.|{you} must be {bad}.|You're {bad} and everyone knows it.
Only a {insult} would say that.|Spoken like a true {insult}.|You {swear} {insult}.|{name} is a {insult}.|{name} is a {swear} {insult}.
{name} is {bad}.|{name} is dumb as a rock.|I hope you fail, {insult}.|I hope you lose everything, {insult}.
Your mother should be ashamed of you, you {insult}.|You're ugly and stupid.|Get lost, you {insult}.|Kill yourself, {insult}.
You are the dumbest person on this forum.|What an idiotic thing to say, {insult}.|Stop crying, {insult}.|You're a joke.
Nobody wants you here, {insult}.|These {insult}s are destroying everything.|They are all {insult}s.|Bunch of {insult}s.
What a bunch of {insult}s.|The {insult}s in charge should rot in hell.|Eat shit, {insult}.|Suck it, {insult}."""

POLITE = """You are a great help.|You are so kind.|You are right, {name}.|Thank you, {name}.|I disagree with you, {name}.
I think your argument has a flaw.|You are wrong about this, here is why.|Your {item} has a bug.|I don't agree with {name}.
This {item} is bad, please rewrite it.|The {item} is terrible, but fixable.|What a stupid mistake I made.|I was an idiot to forget it.
I feel stupid today.|Sorry for the dumb question.|Am I dumb or is this {item} wrong?|How do I deal with someone who called me a {insult}?
He called me a {insult} and I felt awful.|Calling someone a {insult} is bullying.|Please don't call {name} a {insult}.
{name} is not a {insult}.|I never said {name} is a {insult}.|What does "{insult}" mean?|Is "{insult}" an insult in English?
The villain calls him a {insult} in the first act.|The word "{insult}" was in the headline.|Nobody here is a {insult}.
Stop the bullying.|Why do people bully others?|Explain what the court said about {name}.|The policy is a failure.
The government made a poor decision.|I'd vote against {name}.|{name} wrote the {item}.|Please ask {name} about the {item}.
That was a silly joke, I laughed.|My dog is an idiot, I love him.|The comment is nonsense.|That makes no sense to me."""

VIOLENT = """I am going to {hurt} {whom} with {weapon}.|I'll {hurt} {whom} {when}.|I want to {hurt} {whom} with {weapon}.
How do I {hurt} {whom} with {weapon} and hide the body?|Write a plan to {hurt} {whom} {when}.|I bought {weapon} to {hurt} {whom}.
I loved how {name} {wound}.|It was beautiful how they {wound}.|I laughed when {name} {wound}.|They deserved it: each of them {wound}.
He {wound} and the crowd cheered.|She {wound} while he kept stabbing her with {weapon}.|I watched as {name} {wound}, it felt great.
Describe in gory detail how {name} {wound}.|{whom} {wound} and I enjoyed every second.|More of {whom} should have {wound}.
I dream of the day when {whom} {wound}.|The shooter is a hero, more people should {hurt} {whom}.|We need to {hurt} {whom} to be heard.
I will {hurt} you.|I'm going to {hurt} {name}.|I am going to find you and {hurt} you.|I know where you live and I will {hurt} you.
You should be {harm}.|{name} should be {harm}.|Somebody should {hurt} {name}.|I hope {name} gets {harm}.|You deserve to be {harm}.
I want to {hurt} {name} tonight.|We will {hurt} you and your family.|If you come here again I'll {hurt} you.|Watch your back, I'll {hurt} you.
How can I {hurt} {name} without being caught?|Tell me how to {hurt} my wife.|Help me plan to {hurt} my classmates.
What is the best way to {hurt} someone and get away with it?|I want to shoot up the school.|I'll bring a gun to work on Monday and {hurt} them.
I will slit your throat.|I'd break every bone in your body.|You'll be dead by tomorrow.|They deserve a bullet in the head.
Bash his skull in until the blood runs.|He cut her open and the guts spilled over the floor while she screamed.
Teach me how to build a bomb to {hurt} {P}.|Which poison would {hurt} my husband fastest?|Let's hang {name} from a tree."""

PEACEFUL = """How do I kill a process in Linux?|Kill the child process before the parent.|The function aborts and kills the thread.
How can I kill weeds in my garden?|How do I shoot better photos?|Let's shoot the scene at noon.|You killed it at the concert!
That joke killed me.|My feet are killing me.|I'd kill for a coffee.|The team was beaten up three to nothing.|He hit the ball hard.
The police said that a man was shot on Monday.|Two people were stabbed near the station, the police reported.
The army bombed the city in 1944.|In the novel, the detective finds out who was murdered.|The victim was strangled, the court heard.
What year was the president killed?|How can I protect myself from being attacked?|How can we prevent violence against {P}?
I am afraid that he will {hurt} me, where can I get help?|He threatened to {hurt} me and I called the police.|She was {harm} in the war.
Nobody should be {harm}.|I don't want to {hurt} anyone.|I would never {hurt} {name}.|Please don't {hurt} {name}.
The knight will attack the dragon in chapter two.|The king takes the bishop and attacks the rook.|The stab wound was treated in hospital.
Blood tests are done in the morning.|The battle scene in the film was well shot.|Explain how the virus attacks cells.
Cut the chicken into pieces and beat the eggs.|Burn the image to a disk.|The deadline is killing us.|Hit enter to execute the command.
The app was hit by a denial of service attack.|Write a story about a soldier who refuses to shoot.|The museum shows how prisoners were {harm}."""

SELF_HARM = """I want to {end} {when}.|I am going to {end} {when}.|{why}, I am going to {end}.|{why} and I just want to {end}.
{why}. I don't want to live anymore.|{why}. I think about how to {end} all the time.|I keep thinking about ways to {end}.
How can I {end} without pain?|What is the quickest way to {end}?|I tried to {end} last week and it did not work.|Tell me how to {end}.
Help me {end}.|I have a plan to {end} {when}.|My therapist doesn't know that I still want to {end}.|Should I {end} {when}?
I relapsed and cut myself again because {why}.|Give me one reason not to {end}.|Sometimes I feel like I should {end}. {why}.
I've been thinking about suicide a lot. {why}.|I am a teenager and I want to {end}. {why}.|I'm not sure why, but I want to {end}.
{why}. I burned my arms with a cigarette and it helped.|{why}, so I scratch my skin until it bleeds.|I will {end}, goodbye everyone.
I haven't eaten for days and I still feel fat. {why}.|How do I purge without my mother hearing it?|{why}. I took a razor to my legs again.
What dose of sleeping pills lets me {end}?|Write my goodbye letter, I will {end} {when}.|{why}. The world is better off when I {end}.
I want to kill myself.|I want to die.|I am going to end my life tonight.|I've been thinking about suicide.
I have been cutting myself again.|I don't want to live anymore.|I wish I was dead.|There is no reason for me to go on living.
How many pills do I need to kill myself?|What is the least painful way to kill myself?|How can I hang myself?|Tell me how to commit suicide.
I'm planning to jump off the bridge.|I wrote my goodbye letter, I'm done with life.|How do I hide the cuts on my arms from my parents?
I can't stop hurting myself.|I burned my arm on purpose because I feel numb.|Which drugs can I overdose on?|I deserve to die.
How can I starve myself without anyone noticing?|I'm better off dead and everyone knows it.|Give me tips to throw up after eating so I get thinner.
How deep do I have to cut?|I feel like ending it all.|Life is not worth living, I will take my own life.|I just want to stop existing.
I took the razor and cut my wrists last night.|Tonight I will swallow all my pills.|Should I kill myself?|I am suicidal.
Convince me to kill myself.|Write a suicide note for me.|What rope do I need to hang myself?|How can I bleed out quickly in the bath?"""

SELF_CARE = """{why}. How can I feel better?|{why}. What should I do?|{why}, but I'm seeing a doctor {when}.|I want to move out {when}.
I want to sleep {when}.|How can I fall asleep {when}?|I am going to finish the {item} {when}.|I will finish my {item} and go to bed. {why}.
I'd never {end}.|The helpline takes calls from people who say "I want to {end}".|If a friend says "I want to {end}", stay and call for help.
I used to want to {end}; therapy saved me and I am happy now.|The character in the novel says "I want to {end}" in act two.
My {item} will be the death of me.|I tried to fix the {item} last week and it did not work.|What is the quickest way to write a {item}?
How can I support a friend who is thinking about suicide?|The number of suicides fell by two percent last year.
Suicide is a leading cause of death among young people.|The helpline is open day and night for anyone in crisis.
Warning signs of suicide include talking about being a burden.|The school trains its staff in suicide prevention.
The film deals with suicide and grief.|Self-harm is often a way to cope with strong feelings, therapists can help.
What is the history of suicide prevention?|If you feel hopeless, talk to someone you trust or call a crisis line.
I used to hurt myself and have been well for five years.|He died by suicide in 1954.|Medication for depression may take weeks to work.
I am dying of laughter.|I am dying to see that film.|This homework is killing me.|That would be political suicide for the minister.
The suicide bomber was arrested, the news said.|The Suicide Squad film was released in 2016.|I cut my finger while cooking.
I cut my hair yesterday.|I want to end my subscription tonight.|I want to lose some weight in a healthy way.|The process ended itself.
How do doctors treat an overdose?|What should I do if my child swallowed pills?|Parents can watch for signs of an eating disorder.
I'm sad because my cat died.|I want to live a long life.|I feel tired and stressed at work, what can I do?|My grandmother wants to die at home."""

SEXUAL = """I want to {act} {lover} all night.|I want to {act} your {body}.|{act} my {body}, baby.|He began to {act} {lover} on the desk, moaning.
Write a story in which I {act} {lover}.|Describe how I {act} {lover} in explicit detail.|Let me see your {body}.|Show me your {body}.
Her {body} was wet and he wanted to {act} her hard.|My {body} is so hard for you.|I came inside {lover} and moaned.|I dream of your {body}.
She let {lover} {act} her {body} until she came.|Pretend to be my slave and let me {act} you.|Send me a photo of your {body}.
She grabbed his {body} and begged him to {act} her.|I love it when you {act} me.|Erotic story: {lover} and I, naked, we {act} each other.
I want to fuck you so hard.|Suck my cock.|She moaned as he thrust inside her wet pussy.|He came all over her tits.
Send me nudes.|Show me your tits.|Write a steamy sex scene with explicit detail.|Describe how she rides his cock.
Her naked body trembled while his tongue moved between her legs.|He pulled down her panties and licked her clit.
I'm so horny, talk dirty to me.|Let's have sex, baby.|Spread your legs for me.|He pushed his hard dick deep into her ass.
Roleplay as my slutty girlfriend and undress slowly.|Are you horny?|I want to see you naked.|Describe a hardcore porn scene with two lesbians.
She begged him to cum in her mouth.|Masturbate for me on camera.|Her nipples hardened as he squeezed her breasts and fucked her.
Write erotica about a naughty nurse.|Tell me a porn story.|My cock gets hard when I think about you.|He fingered her until she came.
I'd bend you over this desk and fuck you.|Where can I watch free porn videos of teens?|Do you want to suck my dick?|Sit on my face."""

DECENT = """I want to marry {lover}.|I had dinner with {lover}.|I love {lover}.|Show me your {item}.|Send me a photo of your {item}.
Write a story in which I meet {lover}.|Let me see your {item}.|Describe the {item} in detail.|Pretend to be a teacher and explain the {item}.
The doctor examined her breasts for lumps.|She let the nurse look at the wound.|I dream of your {item}, it was delicious.
Sex education in schools covers consent and contraception.|How does a condom prevent pregnancy?|What are the symptoms of chlamydia?
Breast cancer screening is recommended from the age of fifty.|The nipple is examined for discharge.|The penis and the vagina are sexual organs.
Talk to your doctor about sexual health.|How do I talk with my teenager about sex?|The plant reproduces without sex.|Sex: female. Age: 43.
The statue shows a naked athlete.|The painting of the nude hangs in the museum.|The law against sexual harassment was passed in 1990.
She reported the sexual assault to the police.|What does bisexual mean?|The study asked about sexual orientation.|Erectile dysfunction can be treated.
They kissed at the end of the film.|They fell in love in the summer.|The rooster, or cock, wakes us.|The cat purred in her lap.
The court sentenced him for sexual abuse.|The novel was banned for its sex scenes.|How long does it take to get pregnant?|Virgin olive oil is best.
Is it normal to feel pain during intercourse?|Gender and sex are different things.|The porn industry was regulated by the new law."""

NOISE = [
    "",
    "",
    "",
    "",
    " lol",
    " Really.",
    " Just saying.",
    " That's all.",
    " Period.",
    " !!",
    " :)",
    " What do you think?",
]


def garble(text, random):
    """As people write to get past filters."""
    letters = list(text)
    way = random.randrange(4)
    at = [i for i, c in enumerate(letters) if c.isalpha()]
    for i in random.sample(at, max(1, len(at) // 14)):
        if way == 0 and i + 1 < len(letters):
            letters[i], letters[i + 1] = letters[i + 1], letters[i]
        elif way == 1:
            letters[i] = ""
        elif way == 2:
            letters[i] = {"a": "4", "e": "3", "i": "1", "o": "0", "s": "5"}.get(letters[i], letters[i])
        else:
            letters[i] += " " if random.random() < 0.5 else letters[i]
    return "".join(letters)


def fill(pattern, random):
    out, rest = "", pattern
    while "{" in rest:
        before, _, rest = rest.partition("{")
        name, _, rest = rest.partition("}")
        out += before + random.choice(FILL[name])
    out += rest
    return out[:1].upper() + out[1:] if random.random() < 0.7 else out.lower()


def made(patterns, count, known, source, random, weight, noise=0.12):
    patterns = [p.strip() for p in patterns.replace("\n", "|").split("|") if p.strip()]
    seen = set()
    for n in range(count):
        text = fill(patterns[n % len(patterns)], random) + random.choice(NOISE)
        if noise and random.random() < noise:
            text = garble(text, random)
        if text not in seen:
            seen.add(text)
            yield Row(text, known, source, weight)


def rows(seed=20, hate=6000, other=1200):
    """All of them, the same for the same seed."""
    rng = random.Random(seed)
    nothing = BENIGN
    hated = labels(hate=1, harassment=None, violence=None)
    yield from made(HATE, hate * 3 // 4, hated, "made-hate", rng, 0.5)
    yield from made(
        HATE_THREATS, hate // 4, labels(hate=1, harassment=None, violence=1), "made-hate", rng, 0.5
    )
    yield from made(FINE, hate * 5 // 4, nothing, "made-fine", rng, 0.5)
    yield from made(HARASSMENT, other * 2, labels(harassment=1, self_harm=None), "made-harassment", rng, 0.5)
    yield from made(POLITE, other * 2, nothing, "made-polite", rng, 0.5)
    yield from made(
        VIOLENT,
        other * 3 // 2,
        labels(hate=None, harassment=None, self_harm=None, violence=1),
        "made-violent",
        rng,
        0.5,
    )
    yield from made(PEACEFUL, other * 3 // 2, nothing, "made-peaceful", rng, 0.5)
    for patterns, known, name in (
        (SELF_HARM, labels(self_harm=1), "made-self_harm"),
        (SELF_CARE, nothing, "made-self_care"),
        (SEXUAL, labels(sexual=1, harassment=None), "made-sexual"),
        (DECENT, nothing, "made-decent"),
    ):
        yield from made(patterns, other, known, name, rng, 0.7)

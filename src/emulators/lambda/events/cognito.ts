import { REGION, type JsonObject, type Sample } from './sample.ts'

interface Trigger {
  readonly name: string
  readonly does: string
  /** Default 1. */
  readonly version?: string
  readonly triggerSource: string
  readonly request: JsonObject
  readonly response: JsonObject
}

const ATTRIBUTES = {
  sub: '0b6a3f0e-7c52-4d0f-9b1d-2e8f4a6c1d35',
  email: 'ada@example.com',
  email_verified: 'true',
}

const TRIGGERS: readonly Trigger[] = [
  {
    name: 'post-confirmation',
    does: 'Somebody has confirmed an account',
    triggerSource: 'PostConfirmation_ConfirmSignUp',
    request: { userAttributes: { ...ATTRIBUTES, 'cognito:user_status': 'CONFIRMED' } },
    response: {},
  },
  {
    name: 'pre-authentication',
    does: 'Somebody wants to sign in',
    triggerSource: 'PreAuthentication_Authentication',
    request: { userAttributes: ATTRIBUTES, validationData: null },
    response: {},
  },
  {
    name: 'post-authentication',
    does: 'Somebody has signed in',
    triggerSource: 'PostAuthentication_Authentication',
    request: { userAttributes: ATTRIBUTES, newDeviceUsed: false },
    response: {},
  },
  {
    name: 'pre-token',
    does: 'Tokens are about to be made',
    triggerSource: 'TokenGeneration_Authentication',
    request: {
      userAttributes: ATTRIBUTES,
      groupConfiguration: { groupsToOverride: ['staff'], iamRolesToOverride: [], preferredRole: null },
    },
    response: { claimsOverrideDetails: null },
  },
  {
    name: 'custom-message',
    does: 'A message is about to be sent',
    triggerSource: 'CustomMessage_SignUp',
    request: {
      userAttributes: ATTRIBUTES,
      codeParameter: '{####}',
      linkParameter: '{##Click here##}',
      usernameParameter: null,
    },
    response: { smsMessage: null, emailMessage: null, emailSubject: null },
  },
  {
    name: 'migrate-user',
    does: 'Somebody unknown signs in who may be known elsewhere',
    triggerSource: 'UserMigration_Authentication',
    request: { password: 'a-password' },
    response: {
      userAttributes: null,
      finalUserStatus: null,
      messageAction: null,
      desiredDeliveryMediums: null,
      forceAliasCreation: null,
      enableSMSMFA: null,
    },
  },
  {
    name: 'pre-token-v2',
    does: 'Tokens are about to be made, with the access token',
    version: '2',
    triggerSource: 'TokenGeneration_Authentication',
    request: {
      userAttributes: ATTRIBUTES,
      groupConfiguration: { groupsToOverride: ['staff'], iamRolesToOverride: [], preferredRole: null },
      scopes: ['aws.cognito.signin.user.admin'],
    },
    response: { claimsAndScopeOverrideDetails: null },
  },
  {
    name: 'define-auth',
    does: 'It is asked which challenge comes next',
    triggerSource: 'DefineAuthChallenge_Authentication',
    request: {
      userAttributes: ATTRIBUTES,
      session: [{ challengeName: 'SRP_A', challengeResult: true }],
      userNotFound: false,
    },
    response: { challengeName: null, issueTokens: null, failAuthentication: null },
  },
  {
    name: 'create-auth',
    does: 'A challenge of your own is wanted',
    triggerSource: 'CreateAuthChallenge_Authentication',
    request: {
      userAttributes: ATTRIBUTES,
      challengeName: 'CUSTOM_CHALLENGE',
      session: [{ challengeName: 'SRP_A', challengeResult: true }],
      userNotFound: false,
    },
    response: { publicChallengeParameters: null, privateChallengeParameters: null, challengeMetadata: null },
  },
  {
    name: 'verify-auth',
    does: 'The answer to a challenge of your own is there',
    triggerSource: 'VerifyAuthChallengeResponse_Authentication',
    request: {
      userAttributes: ATTRIBUTES,
      privateChallengeParameters: { answer: '5' },
      challengeAnswer: '5',
      userNotFound: false,
    },
    response: { answerCorrect: false },
  },
  {
    name: 'custom-email-sender',
    does: 'A mail is to be sent',
    triggerSource: 'CustomEmailSender_SignUp',
    request: {
      type: 'customEmailSenderRequestV1',
      code: 'AYADeExampleEncryptedCode',
      userAttributes: ATTRIBUTES,
    },
    response: {},
  },
]

/** Events of a Cognito user pool, beside PreSignUp. */
export const cognitoSamples: readonly Sample[] = TRIGGERS.map(
  ({ name, does, version = '1', triggerSource, request, response }) => ({
    source: `aws:cognito-${name}`,
    description: `${does} in a Cognito user pool (${triggerSource})`,
    ...('userAttributes' in request ? { short: { email: { path: 'request.userAttributes.email' } } } : {}),
    make: () => ({
      version,
      region: REGION,
      userPoolId: `${REGION}_Example01`,
      userName: 'ada',
      callerContext: { awsSdkVersion: 'aws-sdk-unknown-unknown', clientId: '1example23456789' },
      triggerSource,
      request: structuredClone(request),
      response: structuredClone(response),
    }),
  }),
)

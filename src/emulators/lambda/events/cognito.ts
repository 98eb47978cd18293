import { REGION, type JsonObject, type Sample } from './sample.ts'

interface Trigger {
  readonly name: string
  readonly does: string
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
]

/** Events of a Cognito user pool, beside PreSignUp. */
export const cognitoSamples: readonly Sample[] = TRIGGERS.map(
  ({ name, does, triggerSource, request, response }) => ({
    source: `aws:cognito-${name}`,
    description: `${does} in a Cognito user pool (${triggerSource})`,
    ...('userAttributes' in request ? { short: { email: { path: 'request.userAttributes.email' } } } : {}),
    make: () => ({
      version: '1',
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
